// The page: a recipe is asked, its run is shown, and earlier runs are opened again.

import { ApiError, apiError, getJson, messages, setKey } from "./api.js";
import { livePanel } from "./live.js";
import { paretoPanel } from "./pareto.js";
import { recipePanel } from "./recipe.js";
import { runView } from "./run_view.js";
import { runsPanel } from "./runs.js";
import { setUpTabs } from "./tabs.js";
import { setUpTheme } from "./theme.js";

const part = (name) => document.getElementById(name);
let recipe = null;
let view = null;
let runs = null;
let tabs = null;
let asking = null; // the AbortController of the request in progress
let following = null; // the AbortController of the run that is followed

function say(text) {
  part("status").textContent = text;
}

function fail(error) {
  if (error.status === 401) part("key-form").hidden = false;
  view.show([{ kind: "error", data: { message: error.message, hint: error.hint } }]);
  say(`Failed: ${error.message}`);
}

async function ask(event) {
  event.preventDefault();
  if (asking) return void asking.abort();
  if (!recipe.form.question.trim()) return void part("question").focus();
  following?.abort();
  asking = new AbortController();
  document.body.classList.add("asking");
  part("status").setAttribute("aria-busy", "true"); // readers hear the start and the end alone
  part("ask").textContent = "Stop";
  view.reset();
  runs.setOpened("");
  say("Answering …");
  tabs.show(recipe.form.search ? "tree" : "cost");
  try {
    const id = await stream(recipe.request(), asking.signal);
    await showStored(id);
  } catch (error) {
    if (error.name === "AbortError") say("Stopped.");
    else if (error instanceof ApiError) fail(error);
    else throw error;
  } finally {
    asking = null;
    document.body.classList.remove("asking");
    part("status").removeAttribute("aria-busy");
    part("ask").textContent = "Ask";
    runs.refresh();
  }
}

// Shows the events of the answer as they arrive; the id of the response.
async function stream(request, signal) {
  const options = {
    method: "POST",
    body: JSON.stringify(request),
    headers: { "Content-Type": "application/json" },
    signal,
  };
  let id = "";
  for await (const batch of messages("/v1/chat/completions", options)) {
    const broken = batch.find((chunk) => chunk.error)?.error;
    id = batch.find((chunk) => chunk.id)?.id ?? id;
    view.show(batch.map((chunk) => chunk.forethought?.event).filter(Boolean));
    say(progress());
    if (broken) throw apiError(broken);
  }
  return id;
}

function progress() {
  const { answers, candidates, run } = view.state;
  const tokens = answers.reduce((sum, answer) => sum + answer.length, 0);
  if (run) return `Done: ${run.cost.output_tokens} tokens, finish ${run.finish}.`;
  return candidates.length ? `Searching: ${candidates.length} pieces …` : `Answering: ${tokens} tokens …`;
}

// The prompt of the run just shown, if the server keeps it.
async function showStored(id) {
  if (!view.state.run) throw new ApiError("the stream ended before the run was done", "ask again", 0);
  try {
    const run = await getJson(`/v1/runs/${encodeURIComponent(id)}`);
    view.showPrompt(run.prompt);
    opened(id);
  } catch (error) {
    if (error.status !== 404) throw error; // a server may keep no runs
  }
}

async function open(id) {
  const path = `/v1/runs/${encodeURIComponent(id)}`;
  const run = await getJson(path);
  following?.abort();
  const { signal } = (following = new AbortController());
  view.reset();
  if (run.state === "running") say("A run in progress …");
  try {
    for await (const events of messages(`${path}/events`, { signal })) view.show(events);
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    return;
  }
  view.showPrompt(run.prompt);
  recipe.load(run.form, run.question ? { question: run.question } : {});
  opened(id);
  say("A stored run.");
  if (view.state.decisions.length) tabs.show("decisions");
  else tabs.show(view.state.run?.candidates.some((one) => one.path) ? "tree" : "cost");
}

function opened(id) {
  runs.setOpened(id);
  history.replaceState(null, "", `#run=${encodeURIComponent(id)}`);
}

async function start() {
  const [models, found] = await Promise.all([getJson("/v1/models"), getJson("/v1/catalogue")]);
  const { default: own, ...catalogue } = found;
  recipe = recipePanel({ models: models.data.map((one) => one.id), recipe: own, catalogue });
  part("form").addEventListener("submit", ask);
  part("ask").disabled = false;
  document.body.classList.add("ready");
  say("Ready.");
  await runs.refresh();
  const [, id] = location.hash.match(/^#run=(.+)$/) ?? [];
  if (id) await open(decodeURIComponent(id));
}

function keyboard(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    part("form").requestSubmit();
  }
}

async function startOrFail() {
  try {
    await start();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fail(error);
  }
}

setUpTheme(part("theme"));
view = runView();
runs = runsPanel({ open, fail });
const pareto = paretoPanel({ load: (form) => recipe?.load(form), fail });
const live = livePanel();
tabs = setUpTabs(part("tabs"), (name) => {
  live.show(name === "live");
  if (name === "pareto") pareto.show();
});
part("form").addEventListener("keydown", keyboard);
part("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setKey(part("key").value.trim());
  part("key-form").hidden = true;
  view.reset();
  if (recipe) say("Ready.");
  else startOrFail();
});
startOrFail();
