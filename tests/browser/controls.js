// What somebody without a mouse, or with a large thumb, meets on a page. Run by test_every_page.py inside the browser.
() => {
  const CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
  // What is folded away is looked at too.
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  const isThere = (element) => element.checkVisibility({ visibilityProperty: true });
  const all = [...document.querySelectorAll(CONTROLS)].filter(
    (element) => !element.disabled && element.tabIndex >= 0 && isThere(element));
  // Radios of one name are one stop of the Tab key, at the chosen one; the arrow keys go on from there.
  const alike = (element) => all.filter((other) => other.name === element.name && other.form === element.form);
  const isStop = (element) => element.type !== "radio"
    || element === (alike(element).find((other) => other.checked) || alike(element)[0]);
  const stops = all.filter(isStop);
  const place = (element) => {
    const box = element.getBoundingClientRect();
    return { top: box.top + scrollY, width: box.width, height: box.height };
  };
  const PARTS = ["outline", "boxShadow", "backgroundColor", "borderColor", "borderWidth", "textDecoration", "color"];
  const drawn = (element, part) => {
    const style = getComputedStyle(element, part);
    return PARTS.map((name) => style[name]).join();
  };
  // A radio's ring is drawn around its label.
  const look = (element) => [
    drawn(element), drawn(element, "::before"), drawn(element, "::after"),
    element.labels?.[0] ? drawn(element.labels[0], "::before") : ""].join(" | ");
  const isInSentence = (element) => getComputedStyle(element).display === "inline"
    && element.parentElement.textContent.trim().length > element.textContent.trim().length;
  window.controls = { stops, look, unfocused: stops.map(look) };
  return {
    stops: stops.map((element) => element.outerHTML.slice(0, 160)),
    tops: stops.map((element) => place(element).top),
    small: all.filter((element) => !isInSentence(element)
      && (place(element).width < 23.99 || place(element).height < 23.99)
      && !element.classList.contains("nhsuk-skip-link")).map((element) => element.outerHTML.slice(0, 160)),
  };
}
