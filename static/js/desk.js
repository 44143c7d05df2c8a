// The desk's page by keyboard: one key for each step of the line in which the focus is, and the arrows from line to line.
// The page looks again by itself; the line keeps the focus wherever it has moved to.

const linesOf = () => [...document.querySelectorAll("[data-line]")].filter((line) => line.checkVisibility());
const lineOf = (element) => element && element.closest("[data-line]");

function move(from, by) {
  const lines = linesOf();
  const next = lines[lines.indexOf(from) + by];
  if (!next) return;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  const line = lineOf(event.target);
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!line && !event.target.closest("#desk .office-table")) return;
    event.preventDefault();
    const here = line || event.target.querySelector("[data-line]");
    return line ? move(line, event.key === "ArrowDown" ? 1 : -1) : here.focus();
  }
  if (!line || event.repeat) return;
  const what = event.key === "Enter" && event.target === line ? line.querySelector("[data-open]") : line.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!what) return;
  event.preventDefault();
  what.click();
});

// What was focused may be gone after a look, or stand in another list: the line is what counts.
let kept = null;
document.addEventListener("focusin", (event) => {
  kept = lineOf(event.target)?.id ?? null;
});
document.addEventListener("htmx:after:settle", () => {
  const line = kept && document.getElementById(kept);
  if (!line) return;
  line.closest("details:not([open])")?.setAttribute("open", "");
  if (line.contains(document.activeElement)) return;
  line.focus({ preventScroll: true });
  line.scrollIntoView({ block: "nearest" });
});

// What somebody has unfolded stays so.
window.htmx.config.morphIgnore.push("open");

// Without a look of its own, the browser jumps to the line in the address; the focus goes there too.
const named = location.hash.startsWith("#v-") && document.getElementById(location.hash.slice(1));
if (named) {
  named.closest("details")?.setAttribute("open", "");
  named.focus();
}
