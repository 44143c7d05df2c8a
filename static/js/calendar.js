// The calendar on top of a page that works without: dragging, the arrow keys, clicks into free time.

const DRAG_FROM_PX = 6;
const MINUTE_MS = 60000;
const ROW_MIN = 5;
const box = document.getElementById("calendar");
const zoom = Number(box.querySelector("[class*=cal-zoom-]")?.className.match(/cal-zoom-(\d+)/)?.[1] || 10);
const EDGE_PX = 40;
let drag = null;
// A press that became a drag is no click on what lies there.
let wasDragged = false;

const lists = () => [...box.querySelectorAll(".cal-list")];
const stops = (list) => [...list.querySelectorAll("a")];
const two = (number) => String(number).padStart(2, "0");
// For addresses, and for people as the rest of the page tells them.
const wall = (minute) => `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
const told = (minute) => (minute === 720 ? "12 midday" : `${Math.floor(minute / 60) % 12 || 12}${minute % 60 ? `:${two(minute % 60)}` : ""}${minute < 720 ? "am" : "pm"}`);
// On a phone each column is a list, in which heights mean nothing.
const isDrawn = (list) => getComputedStyle(list).display === "grid";

// Rows are five minutes of the clock on the wall of the place, wherever the browser is.
function rowAt(list, y) {
  const { top, height } = list.getBoundingClientRect();
  return ((y - top) / height) * Number(list.dataset.rows);
}

// Dragging

function beginDrag(event) {
  const visit = event.target.closest(".cal-visit[data-id]");
  if (!visit || event.button !== 0 || event.pointerType === "touch") return;
  const list = visit.closest(".cal-list");
  if (!isDrawn(list)) return;
  drag = { visit, list, x: event.clientX, y: event.clientY, grip: event.clientY - visit.getBoundingClientRect().top, ghost: null, to: null };
}

function lift() {
  drag.ghost = document.createElement("div");
  drag.ghost.className = "cal-ghost";
  drag.ghost.style.height = `${drag.visit.getBoundingClientRect().height}px`;
  drag.visit.closest("li").classList.add("cal-lifted");
  box.classList.add("cal-dragging");
  wasDragged = true;
}

function scrollAtEdges(event) {
  const scroll = drag.visit.closest(".cal-scroll");
  const { top, bottom, left, right } = scroll.getBoundingClientRect();
  const by = (at, low, high) => (at < low + EDGE_PX ? -EDGE_PX / 2 : at > high - EDGE_PX ? EDGE_PX / 2 : 0);
  scroll.scrollBy(by(event.clientX, left, right), by(event.clientY, top, bottom));
}

function goOnDragging(event) {
  if (!drag) return;
  if (!drag.ghost) {
    if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < DRAG_FROM_PX) return;
    lift();
  }
  event.preventDefault();
  scrollAtEdges(event);
  const list = document.elementsFromPoint(event.clientX, event.clientY).map((one) => one.closest(".cal-col")?.querySelector(".cal-list")).find(Boolean);
  if (!list) return letGhostGo();
  const rows = Number(list.dataset.rows);
  const snapped = Math.round((rowAt(list, event.clientY - drag.grip) * ROW_MIN) / zoom) * zoom;
  const minute = Math.min(Math.max(snapped, 0), rows * ROW_MIN - ROW_MIN) + Number(list.dataset.first);
  drag.to = { clinician: list.dataset.clinician, day: list.dataset.day, time: wall(minute) };
  drag.ghost.textContent = `${told(minute)} ${list.dataset.name}`;
  drag.ghost.style.top = `${(((minute - Number(list.dataset.first)) / ROW_MIN) * list.getBoundingClientRect().height) / rows}px`;
  if (drag.ghost.parentNode !== list) list.append(drag.ghost);
}

function letGhostGo() {
  drag.ghost.remove();
  drag.to = null;
}

function endDrag(event) {
  setTimeout(() => { wasDragged = false; }, 0);
  if (!drag) return;
  const { visit, to } = drag;
  putBack();
  if (!to || event.type === "pointercancel") return;
  const said = new URLSearchParams({ id: visit.dataset.id, version: visit.dataset.version, ...to });
  location.assign(`${new URL("move/", location.href.split(/[?#]/)[0])}?${said}`);
}

function putBack() {
  drag?.ghost?.remove();
  drag?.visit.closest("li")?.classList.remove("cal-lifted");
  box.classList.remove("cal-dragging");
  drag = null;
}

// Free time is booked from where one clicks, on the steps of the zoom.

function minutesInto(gap, event) {
  const { top, height } = gap.closest("li").getBoundingClientRect();
  const list = gap.closest(".cal-list");
  const rowPx = list.getBoundingClientRect().height / Number(list.dataset.rows);
  const inside = Math.floor(((event.clientY - top) / rowPx) * ROW_MIN);
  const first = rowAt(list, top) * ROW_MIN + Number(list.dataset.first);
  // The steps are those of the clock, not of the gap.
  const step = Math.floor((first + inside) / zoom) * zoom - first;
  return Math.round(Math.max(0, Math.min(step, (height / rowPx) * ROW_MIN - ROW_MIN)));
}

function bookFromHere(event) {
  if (wasDragged) return event.preventDefault();
  const gap = event.target.closest(".cal-free");
  // The keyboard books from the beginning.
  if (!gap || !event.detail || !isDrawn(gap.closest(".cal-list"))) return;
  const url = new URL(gap.href);
  // A page that is come back to was changed before.
  gap.dataset.start = gap.dataset.start || url.searchParams.get("start");
  const [, year, month, day, hour, minute] = gap.dataset.start.match(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)Z/);
  const past = Number(gap.dataset.past || 0);
  const later = Math.max(0, minutesInto(gap, event) - past);
  const start = new Date(Date.UTC(year, month - 1, day, hour, minute) + later * MINUTE_MS);
  url.searchParams.set("start", `${start.getUTCFullYear()}${two(start.getUTCMonth() + 1)}${two(start.getUTCDate())}T${two(start.getUTCHours())}${two(start.getUTCMinutes())}Z`);
  gap.href = url;
}

// The keyboard: one stop for Tab, arrows inside.

function oneStop() {
  const all = lists().filter(isDrawn).flatMap(stops);
  const here = all.find((one) => one === document.activeElement) || all[0];
  all.forEach((one) => { one.tabIndex = one === here ? 0 : -1; });
}

function focusOn(stop) {
  if (!stop) return;
  stop.focus();
  stop.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function beside(stop, step) {
  const all = lists().filter((list) => stops(list).length);
  const list = all[all.indexOf(stop.closest(".cal-list")) + step];
  const top = (one) => one.closest("li").getBoundingClientRect().top;
  return list && stops(list).reduce((best, one) => (Math.abs(top(one) - top(stop)) < Math.abs(top(best) - top(stop)) ? one : best));
}

function open(stop, page) {
  if (stop.dataset.id) location.assign(`${new URL(`${page}/`, location.href.split(/[?#]/)[0])}?id=${stop.dataset.id}`);
}

function useKeys(event) {
  if (event.key === "Escape" && drag) return putBack();
  const stop = event.target.closest?.(".cal-list a");
  if (!stop || event.ctrlKey || event.metaKey || event.altKey) return;
  const mine = stops(stop.closest(".cal-list"));
  const at = mine.indexOf(stop);
  const keys = {
    ArrowDown: () => focusOn(mine[at + 1]),
    ArrowUp: () => focusOn(mine[at - 1]),
    ArrowLeft: () => focusOn(beside(stop, -1)),
    ArrowRight: () => focusOn(beside(stop, 1)),
    Home: () => focusOn(mine[0]),
    End: () => focusOn(mine[mine.length - 1]),
    m: () => open(stop, "move"),
    c: () => open(stop, "cancel"),
  };
  const act = keys[event.key] || keys[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
}

// The line of now moves with each look at the clinic's own clock; at first the page stands where it is.

function showNow() {
  box.querySelectorAll(".cal-scroll").forEach((scroll) => {
    const line = scroll.querySelector(".cal-axis .cal-now");
    if (line) scroll.scrollTop = line.offsetTop - scroll.clientHeight / 3;
  });
}

document.addEventListener("pointerdown", beginDrag);
document.addEventListener("pointermove", goOnDragging);
document.addEventListener("pointerup", endDrag);
document.addEventListener("pointercancel", endDrag);
document.addEventListener("dragstart", (event) => event.target.closest?.(".cal-list") && event.preventDefault());
document.addEventListener("click", bookFromHere);
document.addEventListener("keydown", useKeys);
document.addEventListener("focusin", (event) => event.target.closest?.(".cal-list a") && oneStop());
// Nothing is drawn anew under somebody's hand.
document.addEventListener("htmx:before:request", (event) => drag && event.preventDefault());
document.addEventListener("htmx:after:settle", oneStop);
showNow();
oneStop();
