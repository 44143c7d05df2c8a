// Small helps on top of pages that work without them.

import { initAll } from "./nhsuk-frontend.min.js";

const byId = (id) => document.getElementById(id);

// A form is sent once; coming back to the page by the browser's button frees it again.
function guardForms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.removeAttribute("aria-busy");
    });
  });
}

// The chosen time is repeated above the button, in words.
function repeatChoice() {
  document.addEventListener("change", (event) => {
    const says = byId("chosen-time");
    if (says && event.target.matches("[data-time]")) says.textContent = says.dataset.says.replace("{time}", event.target.labels[0].textContent.trim());
  });
}

// After another day is loaded, readers hear its heading and the keyboard goes on from there.
function followSwap() {
  let focusNext = null;
  document.addEventListener("htmx:before:request", (event) => {
    focusNext = event.detail.ctx.sourceElement.dataset.focus || null;
  });
  document.addEventListener("htmx:after:settle", (event) => {
    initAll({ scope: event.target });
    tellZone();
    const heading = focusNext && byId(focusNext);
    if (!heading) return;
    focusNext = null;
    heading.focus({ preventScroll: true });
    heading.scrollIntoView({ block: "nearest" });
  });
}

// The page says until when a time is kept. This shows the minutes that are left, silently, and speaks twice: two minutes
// before the end, and at it. It asks the clock each time, because machines that sleep count no seconds.
function watchHold() {
  const box = document.querySelector("[data-hold-seconds]");
  const says = byId("hold-news");
  if (!box || !says) return;
  const left = byId("hold-left");
  const endsAt = Date.now() + Number(box.dataset.holdSeconds) * 1000;
  const show = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  let speaks = Number(box.dataset.holdSeconds) > 120 ? [120, 0] : [0];
  const look = () => {
    const seconds = Math.ceil((endsAt - Date.now()) / 1000);
    const minutes = Math.ceil(seconds / 60);
    show(left, minutes === 1 ? left.dataset.one : left.dataset.many.replace("{minutes}", minutes));
    if (seconds > speaks[0]) return;
    speaks = speaks.filter((at) => at < seconds);
    show(says, seconds > 0 ? says.dataset.soon : says.dataset.over);
    if (seconds > 0) return;
    byId("hold-until").hidden = true;
    byId("hold-after").hidden = true;
    // Until now it only repeated what stands there.
    says.classList.remove("nhsuk-u-visually-hidden");
    clearInterval(ticking);
  };
  const ticking = setInterval(look, 1000);
  look();
}

// Whoever is elsewhere is told whose clock the times are by.
function tellZone() {
  const note = byId("zone-note");
  if (!note) return;
  const now = new Date();
  const wall = (timeZone) => now.toLocaleString("en-GB", { timeZone });
  if (wall(undefined) !== wall(note.dataset.zone)) note.hidden = false;
}

document.body.classList.add("nhsuk-frontend-supported");
guardForms();
repeatChoice();
followSwap();
watchHold();
tellZone();
initAll({ scope: document.body });
