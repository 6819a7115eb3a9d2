// Score against cost of stored comparisons; a point loads its recipe.

import { getJson } from "./api.js";
import { el, facts, table } from "./dom.js";
import { bytes, count, flops, seconds } from "./format.js";
import { withTips } from "./tips.js";

export function paretoPanel({ load, fail }) {
  const root = document.getElementById("pareto");
  let shown = null;
  let axis = 0;
  const tasks = el("select", { "aria-label": "Task" });
  const axes = el("div", { class: "choices", role: "group", "aria-label": "Axis of cost" });
  const chart = el("div", {});
  const list = el("details", {}, el("summary", {}, "As a table"), el("div", {}));
  const note = el("p", { class: "note" });
  tasks.addEventListener("change", () => draw(Number(tasks.value)));
  withTips(chart, ".point", (item) => described(shown.points[Number(item.dataset.tip)]));
  chart.addEventListener("click", (event) => choose(event.target.closest(".point")));
  chart.addEventListener("keydown", (event) => {
    if (event.key === "Enter") choose(event.target.closest(".point"));
  });
  let data = [];

  function choose(point) {
    if (point) load(shown.points[Number(point.dataset.tip)].form);
  }

  async function show() {
    try {
      ({ data } = await getJson("/v1/comparisons"));
    } catch (error) {
      return fail(error);
    }
    if (!data.length) {
      const text = "Results of forethought compare and evaluate show here: score against cost.";
      return root.replaceChildren(el("p", { class: "empty" }, text));
    }
    tasks.replaceChildren(...data.map((one, place) => el("option", { value: place }, one.task)));
    root.replaceChildren(el("div", { class: "head" }, tasks, axes), chart, note, list);
    draw(0);
  }

  function draw(task) {
    shown = data[task];
    axis = Math.min(axis, shown.axes.length - 1);
    axes.replaceChildren(...shown.axes.map(axisButton));
    const questions = `${count(shown.questions)} ${shown.questions === 1 ? "question" : "questions"}`;
    note.textContent = `${questions}; bars are 95 % intervals, rings mark the frontier. A click loads the recipe.`;
    list.lastChild.replaceChildren(asTable(shown));
    drawAxis();
  }

  function axisButton(one, place) {
    const button = el("button", { type: "button", "aria-pressed": String(place === axis) }, one.title);
    button.addEventListener("click", () => {
      axis = place;
      for (const other of axes.children) other.setAttribute("aria-pressed", String(other === button));
      drawAxis();
    });
    return button;
  }

  function drawAxis() {
    chart.replaceChildren(picture(shown.axes[axis].chart));
  }

  return { show };
}

// The chart that the server drew. It comes in as XML, whose scripts never run.
function picture(text) {
  const named = text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ');
  const found = new DOMParser().parseFromString(named, "image/svg+xml").documentElement;
  if (found.nodeName !== "svg") return el("p", { class: "empty" }, "No recipe has a cost on this axis.");
  return document.importNode(found, true);
}

function described(point) {
  return [el("strong", {}, point.recipe), facts(figures(point), "columns")];
}

function figures(point) {
  const known = (value, shown) => (value === null ? "" : shown(value));
  const { value, low, high } = point.score;
  return [
    ["score", known(value, (one) => `${(100 * one).toFixed(1)} (${(100 * low).toFixed(0)}–${(100 * high).toFixed(0)})`)],
    ["questions", count(point.questions)],
    ["FLOPs", known(point.flops, flops)],
    ["tokens", known(point.tokens, count)],
    ["KV cache", known(point.cache_bytes, bytes)],
    ["first token", known(point.first_token, seconds)],
  ];
}

function asTable(one) {
  const names = figures(one.points[0]).map(([name]) => name);
  const rows = one.points.map((point) => [point.name, ...figures(point).map(([, value]) => value || "–")]);
  return table(["recipe", ...names], rows);
}
