// Warns before somebody is signed out, and then hides the page; what was typed in it is handed over first.
// The server judges; this only asks it.

const dialog = document.getElementById("time-out");
const warn = Number(dialog.dataset.warnSeconds);
const stayForm = dialog.querySelector("form");
let endsAt = 0;
let timer = null;
let typedIn = null;

function setEnd(seconds) {
  endsAt = Date.now() + seconds * 1000;
  clearTimeout(timer);
  timer = setTimeout(look, Math.max(0, seconds - (dialog.open ? 0 : warn)) * 1000);
}

async function ask(address, options) {
  const answer = await fetch(address, { ...options, headers: { Accept: "application/json" }, redirect: "error" });
  if (!answer.ok) throw new Error(answer.statusText);
  return (await answer.json()).seconds;
}

// Another tab may have gone on meanwhile: the server knows.
async function look() {
  let seconds = Math.round((endsAt - Date.now()) / 1000);
  try {
    seconds = await ask(dialog.dataset.ask);
  } catch {
    // No answer: go by our own clock.
  }
  if (seconds <= 0) return leave();
  if (seconds <= warn + 1 && !dialog.open) dialog.showModal();
  if (seconds > warn + 1 && dialog.open) dialog.close();
  setEnd(seconds);
}

function leave() {
  dialog.close();
  if (!typedIn || !typedIn.isConnected) {
    const page = encodeURIComponent(location.pathname + location.search);
    return location.replace(`${dialog.dataset.left}?next=${page}`);
  }
  const form = document.createElement("form");
  form.method = "post";
  form.action = dialog.dataset.keep;
  form.hidden = true;
  const add = (name, value) => {
    const box = document.createElement("textarea");
    box.name = name;
    box.value = value;
    form.append(box);
  };
  const action = new URL(typedIn.getAttribute("action") || location.href, location.href);
  const secret = new Set([...typedIn.querySelectorAll("input[type=password]")].map((box) => box.name));
  for (const [name, value] of new FormData(typedIn)) {
    if (typeof value === "string" && name !== "csrf_token" && !secret.has(name)) add(name, value);
  }
  add("csrf_token", stayForm.elements.csrf_token.value);
  add("timed_out_page", location.pathname + location.search);
  add("timed_out_action", action.pathname);
  document.body.append(form);
  return form.submit();
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  // Whom somebody looked for is nothing to go on with.
  if (form && form.method === "post" && form !== stayForm && form.id !== "office-search") typedIn = form;
});

stayForm.addEventListener("submit", async (event) => {
  event.preventDefault();
  event.stopPropagation();
  try {
    const seconds = await ask(stayForm.action, { method: "POST", body: new FormData(stayForm) });
    if (seconds <= 0) return leave();
    dialog.close();
    setEnd(seconds);
  } catch {
    look();
  }
});

// Escape means the same as the button.
dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  stayForm.requestSubmit();
});

// A computer that slept, or a page that was left in the background, looks at once.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && Date.now() >= endsAt - warn * 1000) look();
});

// The page itself says it for those without this script.
document.getElementById("time-out-note").hidden = true;
setEnd(Number(dialog.dataset.seconds));
