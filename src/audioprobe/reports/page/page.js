"use strict";
// Colours: the choice of the system, until the button is pressed.
const root = document.documentElement;
const themeButton = document.getElementById("theme");
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const setTheme = (theme) => {
  root.dataset.theme = theme;
  themeButton.textContent = theme === "dark" ? "Light mode" : "Dark mode";
};
let chosen = false;
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  chosen = true;
  setTheme(root.dataset.theme === "dark" ? "light" : "dark");
});
systemDark.addEventListener("change", () => chosen || setTheme(systemDark.matches ? "dark" : "light"));
setTheme(systemDark.matches ? "dark" : "light");

// Tables sort by the buttons in their heads, numbers by their value, and rows can be filtered.
const sortValue = (row, column) => {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace("−", "-").replace("< ", ""));
  return Number.isNaN(number) ? text : number;
};
const compareValues = (a, b) => {
  if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
  return typeof a === "number" ? -1 : 1; // undefined values come last
};
for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    header.querySelector("button").addEventListener("click", () => {
      const down = header.getAttribute("aria-sort") === "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => (down ? -1 : 1) * compareValues(sortValue(a, column), sortValue(b, column)));
      table.tBodies[0].append(...rows);
    });
  });
}
for (const input of document.querySelectorAll("input.filter")) {
  const table = input.closest("details").querySelector("table");
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
    }
  });
}

// Explanations of columns appear on hover and on focus, and disappear with Escape.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true"); // screen readers have aria-description
document.body.append(tip);
const showTip = (event) => {
  const box = event.currentTarget.getBoundingClientRect();
  tip.textContent = event.currentTarget.dataset.help;
  tip.hidden = false;
  tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
  const above = box.top - tip.offsetHeight - 6;
  tip.style.top = `${above > 0 ? above : box.bottom + 6}px`;
};
const hideTip = () => { tip.hidden = true; };
for (const button of document.querySelectorAll("[data-help]")) {
  button.addEventListener("mouseenter", showTip);
  button.addEventListener("focus", showTip);
  button.addEventListener("mouseleave", hideTip);
  button.addEventListener("blur", hideTip);
}
addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
addEventListener("scroll", hideTip, true);

// On paper, everything that was closed is open.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
