// The heat strip: which prompt tokens, or cache entries, the method kept.

import { el, svg } from "./dom.js";
import { count, percent, visible } from "./format.js";
import { withTips } from "./tips.js";

const MOST_CELLS = 1024;
const WIDE = 128;
const CELL = 7;
const HIGH = 16;
const PIECE = 32; // tokens of one element of the text at most

// The share of layers and heads that kept each prompt token, from 0 to 1.
export function keptShares(kept) {
  const shares = new Float64Array(kept.of);
  kept.positions?.forEach((position, place) => {
    shares[position] = kept.shares?.length ? kept.shares[place] : 1;
  });
  return shares;
}

// Buckets of consecutive tokens: one token each while they fit.
export function buckets(shares) {
  const size = Math.max(1, Math.ceil(shares.length / MOST_CELLS));
  const found = [];
  for (let from = 0; from < shares.length; from += size) {
    const to = Math.min(from + size, shares.length);
    const share = shares.slice(from, to).reduce((sum, one) => sum + one, 0) / (to - from);
    found.push({ from, to, share });
  }
  return found;
}

export function stripView(root) {
  let drawn = null;
  const line = el("p", { class: "note" });
  const strip = el("div", {
    class: "strip",
    tabindex: 0,
    role: "group",
    "aria-label": "Kept prompt tokens; arrow keys move along the strip",
  });
  const text = el("div", {
    class: "prompt-text",
    tabindex: 0,
    role: "region",
    "aria-label": "The prompt; dropped text is struck through",
  });
  root.append(line, strip, legend(), text);
  withTips(strip, ".cell", (cell) => described(cell, drawn));
  strip.addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (cell) reveal(text, Number(cell.dataset.from));
  });

  function render(state) {
    const kept = state.run?.kept;
    root.hidden = !kept?.of || !kept.positions?.length;
    if (root.hidden || (drawn?.kept === kept && drawn.prompt === state.prompt)) return;
    const shares = keptShares(kept);
    drawn = { kept, prompt: state.prompt, shares };
    line.textContent = summary(kept, shares);
    strip.replaceChildren(picture(shares));
    text.hidden = !state.prompt;
    text.classList.toggle("whole", shares.every((share) => share === 1));
    text.replaceChildren(...(state.prompt ? pieces(state.prompt.tokens, shares) : []));
    text.scrollTop = 0;
  }

  return { render };
}

function summary(kept, shares) {
  const dropped = shares.filter((share) => share === 0).length;
  const entries = kept.shares?.length
    ? "cache entries remain in at least one head"
    : "prompt tokens were prefilled";
  const whole = dropped === 0 && !kept.shares?.some((share) => share < 1);
  return whole
    ? `The whole prompt: ${count(kept.of)} tokens.`
    : `${count(kept.of - dropped)} of ${count(kept.of)} ${entries}; ${count(dropped)} were dropped.`;
}

function level(share) {
  return share === 0 ? 0 : Math.max(1, Math.min(5, Math.ceil(share * 5 - 1e-9)));
}

function picture(shares) {
  const cells = buckets(shares);
  const columns = cells.length <= WIDE / 2 ? WIDE / 2 : WIDE;
  const rows = Math.ceil(cells.length / columns);
  const rects = cells.map(({ from, to, share }, place) =>
    svg("rect", {
      class: `cell s${level(share)}`,
      x: (place % columns) * CELL,
      y: Math.floor(place / columns) * (HIGH + 2),
      width: CELL - 1,
      height: HIGH,
      rx: 1,
      "data-from": from,
      "data-to": to,
      "data-share": Number(share.toFixed(4)),
    }),
  );
  const size = `0 0 ${columns * CELL} ${rows * (HIGH + 2)}`;
  return svg("svg", { viewBox: size, "aria-hidden": "true" }, rects);
}

function legend() {
  const swatch = (place) =>
    svg("svg", { class: "key", viewBox: "0 0 16 16", "aria-hidden": "true" },
      svg("rect", { class: `cell s${place}`, x: 3, y: 1, width: 10, height: 14, rx: 2 }));
  return el(
    "ul",
    { class: "legend" },
    el("li", {}, swatch(0), "dropped"),
    el("li", {}, swatch(1), swatch(3), "kept by some layers and heads"),
    el("li", {}, swatch(5), "kept by all"),
  );
}

function pieces(tokens, shares) {
  const found = [];
  let start = 0;
  for (let place = 1; place <= tokens.length; place += 1) {
    const same = place < tokens.length && level(shares[place]) === level(shares[start]);
    if (same && place - start < PIECE) continue;
    const name = shares[start] === 0 ? "del" : "span";
    const attributes = { class: `s${level(shares[start])}`, "data-from": start, "data-to": place };
    found.push(el(name, attributes, tokens.slice(start, place).join("")));
    start = place;
  }
  return found;
}

function reveal(text, token) {
  const at = [...text.children].find((piece) => Number(piece.dataset.to) > token);
  if (!at) return;
  text.querySelector(".found")?.classList.remove("found");
  at.classList.add("found");
  text.scrollTop = at.offsetTop - text.offsetTop - text.clientHeight / 3;
}

function described(cell, { kept, prompt, shares }) {
  const [from, to] = [Number(cell.dataset.from), Number(cell.dataset.to)];
  const name = to - from === 1 ? `token ${count(from)}` : `tokens ${count(from)} to ${count(to - 1)}`;
  const share = Number(cell.dataset.share);
  const kinds = kept.shares?.length ? `kept by ${percent(share)} of layers and heads` : "kept";
  const some = to - from > 1 && !kept.shares?.length && share < 1;
  const inside = shares.slice(from, to).filter((one) => one > 0).length;
  const fate = share === 0 ? "dropped" : some ? `${inside} of ${to - from} kept` : kinds;
  const text = prompt ? visible(prompt.tokens.slice(from, to).join("")) : "";
  return [el("strong", {}, `${name}: ${fate}`), ...(text ? [el("code", {}, text)] : [])];
}
