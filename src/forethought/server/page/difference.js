// Two runs beside each other: their figures, and the words that differ.

import { el, table } from "./dom.js";
import { bytes, count, factor, flops, seconds } from "./format.js";

const MOST_WORDS = 3000;

export function difference(one, other) {
  return el(
    "div",
    {},
    table(["", "A", "B", "B / A"], figures(one, other)),
    el("h3", {}, "Answers"),
    el("p", { class: "note" }, "Struck through: only in A. Underlined: only in B."),
    el("div", { class: "words" }, words(one.answer, other.answer)),
  );
}

function figures(one, other) {
  const row = (name, value, shown) => [
    name,
    shown(value(one)),
    shown(value(other)),
    factor(value(other), value(one)) || "–",
  ];
  const same = (name, value) => [name, value(one), value(other), value(one) === value(other) ? "=" : "≠"];
  return [
    same("recipe", (run) => run.recipe),
    same("seed", (run) => String(run.seed)),
    same("finish", (run) => run.finish),
    row("output tokens", (run) => run.cost.output_tokens, count),
    row("prompt tokens prefilled", (run) => run.cost.prompt_tokens, count),
    row("FLOPs", (run) => run.cost.flops, flops),
    row("KV cache after prefill", (run) => run.kept.cache_bytes, bytes),
    row("first token", (run) => run.timing.first_token, seconds),
    row("total", (run) => run.cost.seconds, seconds),
  ];
}

function words(one, other) {
  const [a, b] = [one, other].map((text) => text.match(/\s+|[^\s]+/g) ?? []);
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) return [el("p", {}, "The answers are too long to compare.")];
  return changes(a, b).map(([kind, text]) => (kind ? el(kind, {}, text) : text));
}

// A longest common subsequence of words: ["", same], ["del", only in a], ["ins", only in b].
export function changes(a, b) {
  const wide = b.length + 1;
  const best = new Uint16Array((a.length + 1) * wide);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const at = i * wide + j;
      best[at] = a[i] === b[j] ? best[at + wide + 1] + 1 : Math.max(best[at + wide], best[at + 1]);
    }
  }
  const found = [];
  const add = (kind, word) => {
    const last = found.at(-1);
    if (last?.[0] === kind) last[1] += word;
    else found.push([kind, word]);
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add("", a[i]);
      [i, j] = [i + 1, j + 1];
    } else if (j >= b.length || (i < a.length && best[(i + 1) * wide + j] >= best[i * wide + j + 1])) {
      add("del", a[i++]);
    } else {
      add("ins", b[j++]);
    }
  }
  return found;
}
