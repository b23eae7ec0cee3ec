// The browser of samples: filters, order, two answers side by side, and one page of cards at a time.
const PAGE = 12;
const RESULTS = ["right", "wrong", "undecided", "failed", "not labelled"];
const element = (name, text = "", attributes = {}) => {
  const made = document.createElement(name);
  made.textContent = text; // text from models and files is never parsed as HTML
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
const control = (form, label, node) => {
  const box = element("label", label);
  box.append(node);
  form.append(box);
  return node;
};
const choice = (form, label, options) => {
  const select = element("select");
  for (const [value, text] of options) select.append(element("option", text, { value }));
  return control(form, label, select);
};
const niceTicks = (most, n) => {
  const rough = most / n;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((each) => each * unit >= rough) * unit;
  const ticks = [];
  for (let value = 0; value <= most * 1.0001; value += step) ticks.push(+value.toPrecision(6));
  return ticks;
};
const spectrogram = (media, name) => {
  const box = element("div", "", { class: "spectrogram" });
  const axis = (most, unit, side) => {
    const line = element("div", "", { class: `axis ${side}`, "aria-hidden": "true" });
    for (const tick of niceTicks(most, side === "left" ? 4 : 5)) {
      const mark = element("span", String(tick));
      mark.style[side === "left" ? "bottom" : "left"] = `${(100 * tick) / most}%`;
      line.append(mark);
    }
    line.append(element("b", unit));
    return line;
  };
  const alt = `Spectrogram of ${name}: 0 to ${media.kilohertz} kHz, 0 to ${media.seconds.toFixed(2)} seconds`;
  box.append(
    axis(media.kilohertz, "kHz", "left"),
    element("img", "", { src: media.picture, alt }),
    axis(media.seconds, "s", "bottom"),
  );
  return box;
};
const definition = (list, name, value, kind = "") => {
  list.append(element("dt", name), element("dd", value || "–", kind ? { class: kind } : {}));
};

const showSamples = (box) => {
  const data = JSON.parse(box.querySelector("script").textContent);
  const { names, samples, media, texts } = data;
  const unique = (values) => [...new Set(values)].filter(Boolean).sort((a, b) => a.localeCompare(b));
  const asOptions = (values) => values.map((value) => [value, value]);
  const form = element("form", "", { "aria-label": "Filter samples" });
  form.addEventListener("submit", (event) => event.preventDefault());
  const sets = unique(samples.map((each) => each.set));
  const set = choice(form, "evaluation set", [["", "all"], ...asOptions(sets)]);
  set.parentElement.hidden = sets.length < 2;
  const label = choice(form, data.labels, [["", "all"], ...asOptions(unique(samples.flatMap((s) => s.labels)))]);
  const first = choice(form, data.compared, names.map((name, n) => [n, name]));
  const second = choice(form, "compare with", [["", "nothing"], ...names.map((name, n) => [n, name])]);
  second.parentElement.hidden = names.length < 2;
  const result = choice(form, "answers", [["", "all"]]);
  const order = choice(form, "order", [["data", "as in the data"], ["wrong", "wrong answers first"]]);
  const search = control(form, "text", element("input", "", { type: "search" }));
  const count = element("p", "", { class: "count", role: "status" });
  const list = element("div", "", { class: "cards" });
  const pages = element("div", "", { class: "pages" });
  const previous = element("button", "Previous", { type: "button" });
  const next = element("button", "Next", { type: "button" });
  pages.append(previous, next);
  box.append(form, count, list, pages);
  let start = 0;

  const state = (sample, n) => sample.answers[n]?.[3];
  const updateResults = () => {
    const before = result.value;
    const single = RESULTS.map((each) => [each, each]);
    const pairs = [
      ["right>wrong", "right, the other wrong"],
      ["wrong>right", "wrong, the other right"],
      ["differ", "different answers"],
    ];
    const options = [["", "all"], ...single, ...(second.value === "" ? [] : pairs)];
    result.replaceChildren(...options.map(([value, text]) => element("option", text, { value })));
    result.value = options.some(([value]) => value === before) ? before : "";
  };
  const matches = (sample) => {
    const [a, b] = [first.value, second.value];
    if (!sample.answers[a] && !(b !== "" && sample.answers[b])) return false;
    if (set.value && sample.set !== set.value) return false;
    if (label.value && !sample.labels.includes(label.value)) return false;
    const wanted = result.value;
    if (wanted === "differ") {
      if (!sample.answers[a] || !sample.answers[b]) return false;
      if (sample.answers[a][2] === sample.answers[b][2]) return false;
    } else if (wanted.includes(">")) {
      if (`${state(sample, a)}>${state(sample, b)}` !== wanted) return false;
    } else if (wanted && state(sample, a) !== wanted) return false;
    if (!search.value) return true;
    const chosenAnswers = [a, b].filter((n) => n !== "").map((n) => sample.answers[n]).filter(Boolean);
    const parts = [sample.name, sample.clip, sample.expected, ...sample.labels];
    for (const answer of chosenAnswers) parts.push(...answer.slice(0, 3).map((n) => texts[n]));
    return parts.join("\n").toLowerCase().includes(search.value.toLowerCase());
  };
  const answerBlock = (sample, n) => {
    const block = element("section", "", { class: "answer" });
    block.append(element("h4", names[n]));
    const answer = sample.answers[n];
    if (!answer) {
      block.append(element("p", "not asked"));
      return block;
    }
    const [prompt, response, chosenText] = answer.slice(0, 3).map((index) => texts[index]);
    const facts = element("dl");
    if (prompt) definition(facts, "prompt", prompt, "prompt");
    if (response) definition(facts, "response", response, "response");
    definition(facts, "answer", chosenText);
    for (const [name, value] of answer[4]) definition(facts, name, value);
    const mark = { right: "✓ ", wrong: "✗ " }[answer[3]] ?? "○ ";
    block.append(element("p", mark + answer[3], { class: `state ${answer[3].split(" ")[0]}` }), facts);
    return block;
  };
  const card = (sample) => {
    const made = element("article");
    made.append(element("h3", sample.name));
    const shown = sample.media === null ? null : media[sample.media];
    if (shown?.picture) made.append(spectrogram(shown, sample.clip || sample.name));
    if (shown?.sound) {
      const player = { controls: "", preload: "none", src: shown.sound, "aria-label": `Audio of ${sample.clip || sample.name}` };
      made.append(element("audio", "", player));
    }
    const facts = element("dl");
    if (sample.clip && sample.clip !== sample.name) definition(facts, "clip", sample.clip);
    definition(facts, "correct answer", sample.expected);
    for (const [name, value] of sample.facts) definition(facts, name, value);
    const answers = element("div", "", { class: "answers" });
    answers.append(answerBlock(sample, first.value));
    if (second.value !== "") answers.append(answerBlock(sample, second.value));
    made.append(facts, answers);
    return made;
  };
  const show = () => {
    let chosenSamples = samples.filter(matches);
    if (order.value === "wrong") {
      const rank = (sample) => ["wrong", "undecided", "failed"].indexOf(state(sample, first.value));
      const place = (sample) => (rank(sample) < 0 ? 9 : rank(sample));
      chosenSamples = [...chosenSamples].sort((a, b) => place(a) - place(b));
    }
    start = Math.max(0, Math.min(start, chosenSamples.length - 1));
    const end = Math.min(start + PAGE, chosenSamples.length);
    const range = chosenSamples.length ? `${start + 1} to ${end} of ` : "";
    const counts = RESULTS.map((each) => [each, chosenSamples.filter((s) => state(s, first.value) === each).length])
      .filter(([, n]) => n).map(([each, n]) => `${n} ${each}`).join(", ");
    count.textContent = `${range}${chosenSamples.length} samples${counts ? `: ${counts}` : ""}`;
    list.classList.toggle("pairs", second.value !== "");
    list.replaceChildren(...chosenSamples.slice(start, end).map(card));
    previous.disabled = start === 0;
    next.disabled = end >= chosenSamples.length;
  };
  const restart = () => { start = 0; updateResults(); show(); };
  form.addEventListener("input", restart);
  const move = (step) => { start += step; show(); form.scrollIntoView({ block: "start" }); };
  previous.addEventListener("click", () => move(-PAGE));
  next.addEventListener("click", () => move(PAGE));
  updateResults();
  show();
};
document.querySelectorAll(".samples").forEach(showSamples);
