// Charts are drawn when they come near the view; arrow keys step through their values.
const drawChart = async (box) => {
  const spec = JSON.parse(box.querySelector("script").textContent);
  const limit = Math.round(Math.min(320, box.clientWidth * 0.42));
  spec.config.axisY = { labelLimit: limit };
  spec.config.legend.columns = box.clientWidth < 500 ? 1 : 3;
  const place = document.createElement("div");
  place.className = "drawing";
  box.append(place);
  // The interpreter of expressions needs no `eval`, which the policy of this page forbids.
  const { view } = await vegaEmbed(place, spec, { actions: false, renderer: "svg", ast: true, logLevel: 1 });
  const save = box.parentElement.querySelector("button.svg");
  save.hidden = false;
  save.addEventListener("click", () => saveChart(view, save));
};
const saveChart = async (view, button) => {
  const style = document.createElement("span");
  button.append(style);
  const color = (name) => {
    style.style.color = `var(${name})`;
    return getComputedStyle(style).color;
  };
  const svg = (await view.toSVG()).replace(/var\((--[\w-]+)\)/g, (_, name) => color(name));
  style.remove();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  link.download = "chart.svg";
  link.click();
  URL.revokeObjectURL(link.href);
};
const charts = [...document.querySelectorAll(".chart")];
const drawn = new Map();
const drawOnce = (box) => {
  if (!drawn.has(box)) drawn.set(box, drawChart(box));
  return drawn.get(box);
};
const watcher = new IntersectionObserver(
  (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => drawOnce(e.target)),
  { rootMargin: "800px" },
);
charts.forEach((box) => watcher.observe(box));
addEventListener("beforeprint", () => charts.forEach(drawOnce));
for (const box of charts) {
  const output = box.parentElement.querySelector("output.mark");
  let position = -1;
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const marks = [...box.querySelectorAll(".role-mark [aria-label]")];
    if (!marks.length) return;
    marks[position]?.classList.remove("current");
    position = (position + step + marks.length) % marks.length;
    marks[position].classList.add("current");
    output.textContent = marks[position].getAttribute("aria-label");
  });
  box.addEventListener("blur", () => {
    box.querySelector(".current")?.classList.remove("current");
    output.textContent = "";
    position = -1;
  });
}
