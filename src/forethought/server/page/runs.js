// The list of runs: open one again, compare two, export one.

import { ApiError, getJson, send } from "./api.js";
import { difference } from "./difference.js";
import { el } from "./dom.js";
import { clock, count, factor, seconds } from "./format.js";

export function runsPanel({ open, fail }) {
  const list = document.getElementById("runs-list");
  const diff = document.getElementById("diff");
  const compare = document.getElementById("compare");
  const chosen = new Set();
  let opened = "";
  compare.addEventListener("click", guarded(showDifference));

  function guarded(task) {
    return async (...values) => {
      try {
        await task(...values);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        fail(error);
      }
    };
  }

  async function refresh() {
    const { data } = await getJson("/v1/runs?limit=100");
    for (const id of chosen) if (!data.some((run) => run.id === id)) chosen.delete(id);
    list.replaceChildren(...(data.length ? [listed(data)] : [empty()]));
    mark();
  }

  function empty() {
    return el("p", { class: "empty" }, "Runs of this server are listed here, also after a restart.");
  }

  function listed(data) {
    const names = ["", "time", "question", "recipe", "output", "total", "FLOPs", "KV cache", ""];
    const head = names.map((name) => el("th", { scope: "col" }, name));
    return el(
      "table",
      {},
      el("thead", {}, el("tr", {}, head)),
      el("tbody", {}, data.map(row)),
    );
  }

  function row(run) {
    if (run.state !== "done") return unfinishedRow(run);
    const box = el("input", { type: "checkbox", "aria-label": `Compare the run of ${clock(run.created)}`, checked: chosen.has(run.id) });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(run.id);
      else chosen.delete(run.id);
      mark();
    });
    const question = run.question || "(question not kept)";
    const name = el("button", { type: "button", class: "link", onclick: guarded(() => open(run.id)) }, question);
    const save = el("button", { type: "button", "aria-label": `Export the run of ${clock(run.created)}`, onclick: guarded(() => exportRun(run.id)) }, "export");
    return el(
      "tr",
      { "data-run": run.id },
      el("td", {}, box),
      el("td", { class: "time" }, clock(run.created)),
      el("th", { scope: "row", class: "asked" }, name),
      el("td", { class: "spelled", title: run.recipe }, el("code", {}, run.recipe)),
      el("td", {}, count(run.cost.output_tokens)),
      el("td", {}, seconds(run.cost.seconds)),
      el("td", {}, factor(run.cost.flops, run.exact.flops) || "–"),
      el("td", {}, factor(run.kept.cache_bytes, run.exact.cache_bytes) || "–"),
      el("td", {}, save),
    );
  }

  // A run in progress, or one that an error ended.
  function unfinishedRow(run) {
    const name = el("button", { type: "button", class: "link", onclick: guarded(() => open(run.id)) }, run.question || "(question not kept)");
    return el(
      "tr",
      { "data-run": run.id },
      el("td", {}),
      el("td", { class: "time" }, clock(run.created)),
      el("th", { scope: "row", class: "asked" }, name),
      el("td", { class: "spelled", title: run.recipe }, el("code", {}, run.recipe)),
      el("td", {}, count(run.tokens)),
      el("td", { colspan: "4", title: run.error?.message ?? "" }, run.state),
    );
  }

  function mark() {
    compare.disabled = chosen.size !== 2;
    compare.textContent = chosen.size === 2 ? "compare the two" : "choose two to compare";
    for (const line of list.querySelectorAll("[data-run]")) {
      line.classList.toggle("opened", line.dataset.run === opened);
    }
    if (chosen.size !== 2) diff.hidden = true;
  }

  async function showDifference() {
    const pair = await Promise.all([...chosen].map((id) => getJson(`/v1/runs/${encodeURIComponent(id)}`)));
    pair.sort((one, other) => one.created - other.created);
    diff.replaceChildren(difference(...pair));
    diff.hidden = false;
    diff.scrollIntoView({ block: "nearest" });
  }

  async function exportRun(id) {
    const response = await send(`/v1/runs/${encodeURIComponent(id)}/export`);
    const url = URL.createObjectURL(await response.blob());
    el("a", { href: url, download: `forethought-${id}.html` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  return {
    refresh: guarded(refresh),
    setOpened(id) {
      opened = id;
      mark();
    },
  };
}
