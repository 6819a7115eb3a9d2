// The server at this moment: throughput, queue, caches; one request a second while it is looked at.

import { ApiError, getJson } from "./api.js";
import { el, svg } from "./dom.js";
import { bytes, count, percent } from "./format.js";

const KEPT = 90; // seconds of history
const rate = (value) => value.toFixed(value < 10 ? 1 : 0);
const TILES = [
  { name: "tokens/s", value: (one) => one.tokens_per_second, shown: rate },
  { name: "running", value: (one) => one.running, shown: count },
  { name: "waiting", value: (one) => one.waiting, shown: count },
  { name: "KV cache", value: (one) => one.cache_bytes, shown: bytes, of: (one) => one.cache_limit_bytes },
  { name: "prefix cache", value: (one) => one.prefix_cache_bytes, shown: bytes },
  { name: "prefix hits", value: hits, shown: percent },
];

// The share of prompt tokens that the prefix cache held.
function hits(one) {
  return one.prefix_query_tokens ? one.prefix_hit_tokens / one.prefix_query_tokens : 0;
}

export function livePanel() {
  const root = document.getElementById("live");
  const history = [];
  let timer = null;
  root.append(el("p", { class: "empty" }, "waiting for the server …"));

  async function look() {
    if (document.hidden) return;
    try {
      history.push(await getJson("/v1/live"));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      root.replaceChildren(el("p", { class: "empty" }, `${error.message}${error.hint ? `; ${error.hint}` : ""}`));
      return;
    }
    history.splice(0, Math.max(0, history.length - KEPT));
    root.replaceChildren(el("div", { class: "tiles" }, TILES.filter(isKnown).map((tile) => tileOf(tile, history))));
  }

  const isKnown = (tile) => typeof tile.value(history.at(-1)) === "number";

  return {
    show(on) {
      clearInterval(timer);
      if (!on) return;
      look();
      timer = setInterval(look, 1000);
    },
  };
}

function tileOf({ name, value, shown, of }, history) {
  const values = history.map((one) => value(one) ?? 0);
  const limit = of?.(history.at(-1));
  return el(
    "div",
    { class: "tile" },
    el("span", { class: "tile-name" }, name),
    el("strong", {}, shown(values.at(-1)), limit ? el("small", {}, ` of ${shown(limit)}`) : null),
    spark(values),
  );
}

function spark(values) {
  const top = Math.max(...values, 1e-9);
  const from = KEPT - values.length;
  const line = values.map((value, place) => `${from + place} ${(22 - (20 * value) / top).toFixed(1)}`);
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${KEPT - 1} 24`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "area", d: `M${from} 24L${line.join("L")}L${KEPT - 1} 24Z` }),
    svg("path", { class: "line", d: `M${line.join("L")}` }),
  );
}
