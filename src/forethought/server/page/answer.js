// The answer, token by token: tinted by probability, drafted tokens underlined.

import { el, facts } from "./dom.js";
import { count, factor, percent, seconds, visible } from "./format.js";
import { withTips } from "./tips.js";

const LEVELS = [0.9, 0.7, 0.5, 0.3, 0.1];

export function answerView(root) {
  let state = null;
  let shown = []; // tokens in the page, by answer
  let blocks = [];
  const text = el("div", { class: "answers" });
  const error = el("div", { class: "error", role: "alert" });
  const notes = el("ul", { class: "notes" });
  const summary = el("div", { class: "summary" });
  root.append(error, text, legend(), summary, notes);

  function block(number) {
    if (blocks[number]) return blocks[number];
    const tokens = el("div", {
      class: "tokens",
      tabindex: 0,
      role: "group",
      "aria-label": `Answer ${number + 1}, token by token; arrow keys move along it`,
    });
    withTips(tokens, ".t", (node) => described(state.answers[number][Number(node.dataset.n)]));
    blocks[number] = tokens;
    text.append(tokens);
    return tokens;
  }

  function render(next) {
    if (next !== state) {
      state = next;
      [shown, blocks] = [[], []];
      text.replaceChildren();
    }
    state.answers.forEach((tokens, number) => {
      const from = shown[number] ?? 0;
      block(number).append(...tokens.slice(from).map((token, place) => span(token, from + place)));
      shown[number] = tokens.length;
    });
    if (state.run && !state.answers.length) block(0).replaceChildren(state.run.answer);
    for (const tokens of blocks) tokens.classList.toggle("one", blocks.length === 1);
    root.classList.toggle("tinted", state.answers.some((tokens) => tokens.some(isKnown)));
    root.classList.toggle("drafts", state.answers.some((tokens) => tokens.some(isDrafted)));
    error.replaceChildren(...failure(state.error));
    notes.replaceChildren(...(state.run?.notes ?? state.notes).map((note) => el("li", {}, note)));
    summary.replaceChildren(...(state.run ? [facts(figures(state.run))] : []));
  }

  return { render };
}

const isKnown = (token) => token.log_probability !== undefined;
const isDrafted = (token) => Boolean(token.from_draft);

function failure(error) {
  if (error === null) return [];
  const hint = error.hint ? el("p", {}, `hint: ${error.hint}`) : null;
  return [el("p", {}, `error: ${error.message}`), ...(hint ? [hint] : [])];
}

function span(token, place) {
  const level = LEVELS.findIndex((least) => Math.exp(token.log_probability ?? 0) >= least);
  const tint = level < 0 ? LEVELS.length : level;
  const drafted = isDrafted(token) ? " drafted" : "";
  return el("span", { class: `t q${tint}${drafted}`, "data-n": place }, token.text);
}

function legend() {
  const names = ["90 % or more", "70 %", "50 %", "30 %", "10 %", "less"];
  const swatches = names.map((name, level) => el("span", { class: `t q${level}` }, name));
  return el(
    "p",
    { class: "note tints" },
    el("span", {}, "probability of each token: "),
    swatches,
    el("span", { class: "underlined" }, el("span", { class: "drafted" }, "drafted")),
  );
}

function described(token) {
  if (!token || !isKnown(token)) return [];
  const head = el("strong", {}, `“${visible(token.text)}” `);
  const chance = percent(Math.exp(token.log_probability));
  const drafted = isDrafted(token) ? " · proposed by the draft" : "";
  const line = el("div", {}, `${chance} · log-probability ${token.log_probability.toFixed(2)}${drafted}`);
  const rows = (token.top ?? []).map((one) => alternative(one, one.token === token.token));
  return [head, line, ...(rows.length ? [el("div", { class: "alternatives" }, rows)] : [])];
}

function alternative(one, chosen) {
  const share = Math.exp(one.log_probability);
  const bar = el("meter", { min: 0, max: 1, value: share.toFixed(4), "aria-hidden": true });
  return el(
    "div",
    { class: chosen ? "chosen" : "" },
    el("code", {}, visible(one.text)),
    bar,
    el("span", {}, percent(share)),
  );
}

function figures(run) {
  const { cost, exact, timing, kept, confidence } = run;
  const stopped = { stop: "complete", length: "cut at the token limit" }[run.finish] ?? run.finish;
  const shortened = kept.prompt_tokens < kept.of;
  const known = confidence && confidence.value !== null;
  const sure = known
    ? `${confidence.value.toFixed(2)} by ${confidence.method}${confidence.calibrated ? "" : ", not calibrated"}`
    : "";
  return [
    ["finish", stopped],
    ["tokens", count(cost.output_tokens)],
    ["first token", timing.first_token ? seconds(timing.first_token) : ""],
    ["speed", timing.per_token ? `${(1 / timing.per_token).toFixed(0)} tokens/s` : ""],
    ["total", seconds(cost.seconds)],
    ["FLOPs", exact.flops ? `${factor(cost.flops, exact.flops)} exact` : ""],
    ["KV cache", exact.cache_bytes ? `${factor(kept.cache_bytes, exact.cache_bytes)} exact` : ""],
    ["prompt kept", shortened ? `${count(kept.prompt_tokens)} of ${count(kept.of)}` : ""],
    ["confidence", sure],
    ["seed", String(run.seed)],
    ["run", run.run],
  ];
}
