// The cost of a run beside the exact run of the same question.

import { download, el, facts, svg, table } from "./dom.js";
import { bytes, count, factor, flops, seconds } from "./format.js";

export function costView(root) {
  let shown = null;
  const empty = el("p", { class: "empty" }, "A finished run shows its cost beside the exact run here.");
  const content = el("div", {});
  root.append(empty, content);

  function render({ run }) {
    empty.hidden = Boolean(run);
    content.hidden = !run;
    if (!run || run === shown) return;
    shown = run;
    content.replaceChildren(...parts(run));
  }

  return { render };
}

function parts(run) {
  const json = el("button", { type: "button" }, "JSON");
  json.addEventListener("click", () =>
    download(`run-${run.run}.json`, "application/json", JSON.stringify(run, null, 2)),
  );
  return [
    el("div", { class: "pairs" }, pairs(run).map(pair)),
    stages(run.timing),
    el("h3", {}, "Tokens"),
    facts(tokens(run.cost), "columns"),
    el("h3", {}, "Work"),
    facts(work(run), "columns"),
    el("details", {}, el("summary", {}, "As a table"), asTable(run)),
    el("div", { class: "tools" }, json),
  ];
}

// What this run and the exact one spend, where both are known.
function pairs({ cost, exact, kept }) {
  return [
    { name: "FLOPs", own: cost.flops, exact: exact.flops, shown: flops },
    { name: "KV cache after prefill", own: kept.cache_bytes, exact: exact.cache_bytes, shown: bytes },
    { name: "prompt tokens prefilled", own: cost.prompt_tokens, exact: kept.of, shown: count },
  ].filter((one) => one.exact > 0);
}

function pair({ name, own, exact, shown }) {
  const most = Math.max(own, exact);
  const bar = (value, kind, label) =>
    el(
      "div",
      { class: "bar" },
      el("span", { class: "who" }, label),
      svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { class: kind, width: Math.max(0.5, (100 * value) / most).toFixed(2), height: 10 })),
      el("span", { class: "figure" }, shown(value)),
    );
  return el(
    "div",
    { class: "pair" },
    el("div", { class: "pair-head" }, el("span", {}, name), el("strong", {}, `${factor(own, exact)} exact`)),
    bar(own, "own", "this run"),
    bar(exact, "exact", "exact"),
  );
}

function stages(timing) {
  const found = Object.entries(timing.stages ?? {}).filter(([, value]) => value > 0);
  const total = found.reduce((sum, [, value]) => sum + value, 0);
  if (!total) return null;
  let from = 0;
  const rects = found.map(([, value], place) => {
    const wide = (100 * value) / total;
    const rect = svg("rect", { class: `fill c${(place + 1) % 7}`, x: from.toFixed(2), width: wide.toFixed(2), height: 10 });
    from += wide;
    return rect;
  });
  const names = found.map(([name, value], place) =>
    el("li", {}, svg("svg", { class: "key", viewBox: "0 0 16 16", "aria-hidden": "true" },
      svg("rect", { class: `fill c${(place + 1) % 7}`, x: 3, y: 3, width: 10, height: 10, rx: 2 })),
      `${name} ${seconds(value)}`));
  return el(
    "div",
    { class: "stages" },
    el("h3", {}, "Time by stage"),
    svg("svg", { class: "stack", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" }, rects),
    el("ul", { class: "legend" }, names),
  );
}

function tokens(cost) {
  const rows = [
    ["prompt, prefilled", cost.prompt_tokens],
    ["prompt, from the cache", cost.cached_tokens],
    ["output", cost.output_tokens],
    ["draft", cost.draft_tokens],
    ["drafted, verified", cost.verified_tokens],
    ["drafted, accepted", cost.accepted_tokens],
    ["scoring", cost.scoring_tokens],
  ];
  return rows.filter(([, value]) => value).map(([name, value]) => [name, count(value)]);
}

function work({ cost, timing }) {
  return [
    ["FLOPs", cost.flops ? flops(cost.flops) : ""],
    ["effective density", cost.density ? cost.density.toFixed(2) : ""],
    ["bytes moved", cost.bytes_moved ? bytes(cost.bytes_moved) : ""],
    ["peak KV cache", cost.peak_cache_bytes ? bytes(cost.peak_cache_bytes) : ""],
    ["time to first token", timing.first_token ? seconds(timing.first_token) : ""],
    ["inter-token latency", timing.per_token ? seconds(timing.per_token) : ""],
    ["total", seconds(cost.seconds)],
    ["price", cost.usd === null ? "" : `$${cost.usd.toPrecision(3)}`],
  ];
}

function asTable(run) {
  const rows = pairs(run).map((one) => [
    one.name,
    one.shown(one.own),
    one.shown(one.exact),
    factor(one.own, one.exact),
  ]);
  return table(["", "this run", "exact", "factor"], rows);
}
