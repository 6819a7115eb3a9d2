// The search tree: width is the number of samples, colour the score, grey a pruned branch.

import { el, svg, table } from "./dom.js";
import { count } from "./format.js";
import { withTips } from "./tips.js";
import { searchTree } from "./tree_nodes.js";

const [ROW, TOP, LEFT, LABEL] = [26, 18, 12, 236];
const [NARROWEST, WIDEST] = [22, 76];
const WIDTH = 440;
const PATIENCE = 150; // milliseconds between two drawings of a growing tree

export function treeView(root) {
  let tree = null;
  let drawnAt = 0;
  let seen = null;
  let timer = null;
  const empty = el("p", { class: "empty" }, "A run with a search shows its candidates here.");
  const picture = el("div", {
    class: "scroll tree-box",
    tabindex: 0,
    role: "group",
    "aria-label": "Search tree; arrow keys move along its nodes",
  });
  const slider = el("input", { type: "range", min: 0, value: 0, "aria-label": "Step of the search" });
  const play = el("button", { type: "button", "aria-label": "Play the search" }, "▶");
  const place = el("span", { class: "note" });
  const scrubber = el("div", { class: "scrubber" }, play, slider, place);
  const key = el("div", {});
  const list = el("details", {}, el("summary", {}, "Candidates as a table"), el("div", {}));
  root.append(empty, scrubber, picture, key, list);
  withTips(picture, ".node", (item) => described(tree.nodes[Number(item.dataset.n)], tree));
  slider.addEventListener("input", () => {
    stop();
    reveal(Number(slider.value));
  });
  play.addEventListener("click", () => (timer === null ? start() : stop()));

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶";
  }

  function start() {
    play.textContent = "❚❚";
    let step = Number(slider.value) >= Number(slider.max) ? 0 : Number(slider.value);
    reveal(step);
    timer = setInterval(() => {
      step += 1;
      reveal(step);
      if (step >= Number(slider.max)) stop();
    }, 320);
  }

  // Show the search as it was after so many of its steps.
  function reveal(step) {
    slider.value = step;
    place.textContent = `step ${count(step)} of ${count(Number(slider.max))}`;
    for (const item of picture.querySelectorAll("[data-order]")) {
      item.classList.toggle("later", Number(item.dataset.order) > step);
    }
  }

  function render(state) {
    const searching = state.candidates.length > 0 || (state.run?.candidates ?? []).some((c) => c.path);
    for (const part of [picture, key]) part.hidden = !searching;
    scrubber.hidden = state.candidates.length === 0;
    list.hidden = !state.run || !searching;
    empty.hidden = searching;
    if (!searching) return void stop();
    if (seen === state.run && seen !== null) return;
    if (!state.run && performance.now() - drawnAt < PATIENCE) return;
    stop();
    [seen, drawnAt] = [state.run, performance.now()];
    tree = searchTree(state);
    picture.replaceChildren(drawn(tree));
    key.replaceChildren(legend(tree));
    slider.max = state.candidates.length;
    reveal(state.candidates.length);
    if (state.run) list.lastChild.replaceChildren(candidates(state.run));
  }

  return { render };
}

function drawn(tree) {
  const depth = Math.max(...tree.nodes.map((one) => one.depth), 1);
  const step = Math.min(WIDEST, Math.max(NARROWEST, (WIDTH - LABEL - LEFT) / depth));
  const rows = Math.max(...tree.nodes.map((one) => one.row)) + 1;
  const wide = Math.max(WIDTH, LEFT + depth * step + LABEL);
  const high = 2 * TOP + ROW * (rows - 1);
  const at = (one) => [LEFT + one.depth * step, TOP + one.row * ROW];
  const total = tree.root.samples;
  const branches = tree.nodes.flatMap((one) =>
    [...one.children.values()].map((child) => branch(at(one), at(child), child, total, tree)),
  );
  const dots = tree.nodes.map((one, number) => dot(at(one), one, number, tree));
  const size = { viewBox: `0 0 ${wide} ${high}`, width: wide, height: high };
  return svg("svg", { class: "tree", "aria-hidden": "true", ...size }, branches, dots);
}

function branch([x, y], [endX, endY], child, total, tree) {
  const half = (x + endX) / 2;
  return svg("path", {
    class: kind(child, tree),
    "data-order": child.order,
    "stroke-width": (1 + 9 * Math.sqrt(child.samples / Math.max(1, total))).toFixed(1),
    d: `M${x} ${y}C${half} ${y} ${half} ${endY} ${endX} ${endY}`,
  });
}

function dot([x, y], one, number, tree) {
  const label = one.leaf ? [svg("text", { x: x + 10, y: y + 4 }, ...words(one))] : [];
  const circle = svg("circle", { cx: x, cy: y, r: one.leaf ? 4.5 : 3 });
  const hit = svg("rect", { class: "hit", x: x - 9, y: y - 11, width: label.length ? LABEL : 18, height: 22 });
  return svg("g", { class: `node ${kind(one, tree)}`, "data-n": number, "data-order": one.order }, hit, circle, label);
}

// The class of a node: its fate, and its score among the scores of this tree.
function kind(one, tree) {
  const fate = one.gone ? "gone" : one.chosen ? "chosen" : "kept";
  if (one.score === null) return `${fate} plain`;
  const [low, high] = [Math.min(...tree.scores), Math.max(...tree.scores)];
  const share = high > low ? (one.score - low) / (high - low) : 1;
  return `${fate} v${Math.round(10 * share)}`;
}

function words(one) {
  const number = one.leaf.weight ?? one.leaf.score;
  const figure = number === null || number === undefined ? "" : `${number.toFixed(2)}  `;
  return [svg("tspan", { class: "aside" }, figure), ending(one.leaf.text)];
}

function ending(text) {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  const last = lines.at(-1) ?? "(nothing)";
  return last.length <= 28 ? last : `${last.slice(0, 27)}…`;
}

function described(one, tree) {
  const scored = one.score === null ? "" : ` · score ${one.score.toFixed(3)}`;
  const ended = one.finish ? ` · ${one.finish}` : "";
  const fate = one.gone ? " · pruned" : one.leaf?.chosen ? " · chosen" : "";
  const head = `${count(one.samples)} of ${count(tree.root.samples)} samples${scored}${ended}${fate}`;
  const text = one.text.trim();
  const shown = text.length > 600 ? `${text.slice(0, 600)}…` : text;
  return [el("strong", {}, head), ...(shown ? [el("div", { class: "piece" }, shown)] : [])];
}

function legend(tree) {
  const parts = [el("li", {}, "width: samples")];
  if (tree.scores.length) {
    const [low, high] = [Math.min(...tree.scores), Math.max(...tree.scores)];
    const ramp = [0, 3, 5, 8, 10].map((value, place) =>
      svg("rect", { class: `v${value}`, x: place * 14, width: 14, height: 10 }));
    const bar = svg("svg", { class: "ramp", viewBox: "0 0 70 10", "aria-hidden": "true" }, ramp);
    parts.push(el("li", {}, `score ${low.toFixed(2)}`, bar, high.toFixed(2)));
  }
  if (tree.nodes.some((one) => one.gone)) parts.push(el("li", {}, "grey: pruned"));
  if (tree.root.chosen) parts.push(el("li", {}, "ring: chosen"));
  return el("ul", { class: "legend" }, parts);
}

function candidates(run) {
  const found = run.candidates.filter((one) => one.path);
  const fixed = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));
  const rows = found.map((one) => [
    `${one.path.join(".")}${one.chosen ? " ✓" : one.pruned ? " ✕" : ""}`,
    fixed(one.score),
    fixed(one.weight),
    count(one.tokens),
    one.finish || "–",
    ending(one.text),
  ]);
  return table(["path", "score", "weight", "tokens", "finish", "ends with"], rows);
}
