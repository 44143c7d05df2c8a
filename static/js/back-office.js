// The search box of the back office: "/" goes to it, and what it finds stands beside the page that is open.

const form = document.getElementById("office-search");
const box = form.querySelector("input[type=search]");
const panel = document.getElementById("office-found");

// Whoever types somewhere means letters; with another key held they mean the browser.
const isTyping = (event) => event.target.closest("input, select, textarea, [contenteditable]") !== null;
const isPlain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;

// WCAG 2.1.4: a key without another one held can be switched off, for this browser.
const OFF = "office-slash-off";
const mayUseSlash = () => localStorage.getItem(OFF) === null;
const choice = document.getElementById("slash-key");
if (choice) {
  choice.checked = mayUseSlash();
  choice.closest("[hidden]").hidden = false;
  choice.addEventListener("change", () => (choice.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
}

function close() {
  panel.hidden = true;
  panel.replaceChildren();
}

async function search(event) {
  if (!box.value.trim()) return event.preventDefault();
  event.preventDefault();
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "HX-Request": "true" }, redirect: "error" });
    if (!answer.ok) throw new Error(answer.statusText);
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    panel.replaceChildren(...found.body.childNodes);
    panel.hidden = false;
    panel.focus();
  } catch {
    // Signed out, or no network: the browser shows what the portal says.
    form.submit();
  } finally {
    form.removeAttribute("aria-busy");
  }
}

form.addEventListener("submit", search);

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && mayUseSlash() && isPlain(event) && !isTyping(event)) {
    event.preventDefault();
    box.focus();
    box.select();
  }
  if (event.key === "Escape" && !panel.hidden) {
    close();
    box.focus();
  }
});

document.addEventListener("click", (event) => {
  if (!panel.hidden && !panel.contains(event.target) && !form.contains(event.target)) close();
});
