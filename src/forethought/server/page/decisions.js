// The decisions of a spending rule: each with its belief, its prices and the reason for its choice.
// The terminal shows the same with `forethought runs show ID --why`.

import { el, svg, table } from "./dom.js";
import { flops } from "./format.js";

const UNITS = {
  usd: (value) => `${value < 0 ? "-" : ""}$${Math.abs(value).toPrecision(3)}`,
  flops,
  tokens: (value) => `${value.toFixed(1)} tokens`,
};
const WAYS = { target: "the model", draft: "the draft", shortened: "the shortened prompt" };

export function decisionsView(root) {
  let shown = 0;
  const text = "A run that spends by expected value, such as with --spend auto, shows its decisions here.";
  const empty = el("p", { class: "empty" }, text);
  const content = el("ol", { class: "decisions" });
  root.append(empty, content);

  function render({ decisions }) {
    empty.hidden = decisions.length > 0;
    if (decisions.length < shown) {
      content.replaceChildren();
      shown = 0;
    }
    content.append(...decisions.slice(shown).map(card));
    shown = decisions.length;
  }

  return { render };
}

function card(decision) {
  const amount = UNITS[decision.unit];
  const answers = decision.after === 1 ? "1 answer" : `${decision.after} answers`;
  const stakes = `${amount(decision.spent)} spent · a right answer is worth ${amount(decision.value)}`;
  return el(
    "li",
    {},
    el("div", { class: "decision-head" }, el("strong", {}, `After ${answers}: ${named(decision.chosen)}`), el("span", {}, stakes)),
    el("p", { class: "why" }, why(decision)),
    ...beliefs(decision),
    options(decision),
  );
}

// The chosen action, and how much more it is expected to bring than the next best one.
export function why({ alternatives, unit }) {
  const [best, next] = alternatives;
  const amount = UNITS[unit];
  if (!next) return `${named(best)} is the only action left.`;
  return `${named(best)} is expected to bring ${amount(best.net)}, ${amount(best.net - next.net)} more than ${named(next)}.`;
}

function named({ action, way }) {
  return way ? `${action} ${action === "switch" ? "to" : "from"} ${WAYS[way] ?? way}` : action;
}

function beliefs({ belief }) {
  const groups = [...belief.groups].sort((a, b) => b - a).join(", ") || "none";
  const rates = Object.entries(belief.success).map(([way, rate]) =>
    el("div", { class: "rate" }, el("span", { class: "who" }, WAYS[way] ?? way), interval(rate),
      el("span", { class: "figure" }, `${rate.mean.toFixed(2)} (${rate.low.toFixed(2)} to ${rate.high.toFixed(2)})`)),
  );
  const said = `Best answer right: ${belief.right.toFixed(2)} · answers by agreement: ${groups}`;
  return [
    el("p", { class: "note" }, said),
    el("div", { class: "rates" }, el("span", { class: "note" }, `Success rate, 90 % interval, ${belief.calibrated ? "calibrated" : "not calibrated"}`), rates),
  ];
}

function interval({ mean, low, high }) {
  const at = (share) => (100 * share).toFixed(2);
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 100, height: 10 }),
    svg("rect", { class: "span", x: at(low), width: at(high - low), height: 10 }),
    svg("rect", { class: "mean", x: at(Math.min(mean, 0.985)), width: 1.5, height: 10 }));
}

function options({ alternatives, chosen, unit }) {
  const amount = UNITS[unit];
  const same = (one) => one.action === chosen.action && one.way === chosen.way;
  const rows = alternatives.map((one) => [
    `${same(one) ? "▶ " : ""}${named(one)}`,
    amount(one.net),
    one.way ? amount(one.price) : "–",
    one.right.toFixed(2),
    one.way ? one.answers.toFixed(1) : "–",
  ]);
  return table(["action", "net value", "price", "right", "answers"], rows);
}
