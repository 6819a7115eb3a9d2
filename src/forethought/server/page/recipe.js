// The recipe: model, methods, search, scorer, sampling, document and question.

import { adder, chip } from "./chips.js";
import { el } from "./dom.js";
import { commandLine, spelledCall } from "./spelling.js";

const NUMBERS = ["max_tokens", "temperature", "top_p", "top_k", "min_p"];
const [MOST_TOKENS, WARM] = [256, 0.7]; // the defaults of a recipe
const SENT = [...NUMBERS, "budget", "stop"]; // settings that a request may state under the same name

export function emptyForm(model) {
  return {
    model, draft: "self", approximate: [], search: null, scorer: null, settings: {}, seed: 0,
    question: "", document: "", file: "", system: "",
  };
}

export function recipePanel({ models, recipe, catalogue }) {
  const part = (name) => document.getElementById(name);
  const find = (kind, name) => catalogue[kind].find((entry) => entry.name === name);
  const chips = new WeakMap(); // the chip of each call, so that open chips stay open
  let form = { ...emptyForm(recipe.model), ...structuredClone(recipe) };

  const model = options(part("model"), models);
  const draft = options(part("draft"), ["self", ...models]);
  model.addEventListener("change", () => set({ model: model.value }));
  draft.addEventListener("change", () => set({ draft: draft.value }));
  for (const name of ["question", "document", "system"]) {
    part(name).addEventListener("input", () => set({ [name]: part(name).value }));
  }
  for (const name of [...NUMBERS, "budget", "seed"]) {
    part(name).addEventListener("input", () => part(name).checkValidity() && setting(name, part(name).value.trim()));
  }
  part("file").addEventListener("change", readFile);
  part("copy").addEventListener("click", copy);
  part("add-method").append(
    adder(catalogue.methods, "a method", (name) => {
      form.approximate.push({ name, settings: {} });
      draw();
      openLast();
    }),
  );
  part("add-search").append(
    adder(catalogue.strategies, "a search", (name) => {
      form.search = { name, settings: {} };
      if (find("strategies", name).needs_scorer) form.scorer ??= { name: "likelihood", settings: {} };
      draw();
    }),
  );
  part("add-scorer").append(
    adder(catalogue.scorers, "a scorer", (name) => {
      form.scorer = { name, settings: {} };
      draw();
    }),
  );
  draw();

  function set(values) {
    Object.assign(form, values);
    showCommand();
  }

  function setting(name, text) {
    if (name === "seed") form.seed = Number(text) || 0;
    else if (text === "") delete form.settings[name];
    else form.settings[name] = NUMBERS.includes(name) ? Number(text) : text;
    showCommand();
  }

  async function readFile() {
    const [file] = part("file").files;
    if (!file) return;
    part("document").value = await file.text();
    set({ document: part("document").value, file: file.name });
  }

  async function copy() {
    const text = part("cli").textContent;
    try {
      await navigator.clipboard.writeText(text);
      part("copy").textContent = "copied";
    } catch {
      getSelection().selectAllChildren(part("cli")); // no clipboard: the reader copies by hand
      part("copy").textContent = "selected";
    }
    setTimeout(() => (part("copy").textContent = "copy"), 1500);
  }

  function openLast() {
    const details = part("methods").lastElementChild?.querySelector("details");
    if (details) details.open = true;
    details?.querySelector("summary").focus();
  }

  function draw() {
    drawChips();
    drawInputs();
    showCommand();
  }

  function drawChips() {
    part("methods").replaceChildren(
      ...form.approximate.map((call) => chipOf("methods", call, () => removeMethod(call))),
    );
    part("search").replaceChildren(...single("strategies", "search"));
    part("scorer").replaceChildren(...single("scorers", "scorer"));
    part("add-search").hidden = form.search !== null;
    part("add-scorer").hidden = form.scorer !== null || form.search === null;
  }

  function removeMethod(call) {
    form.approximate.splice(form.approximate.indexOf(call), 1);
  }

  function single(kind, name) {
    const remove = () => {
      form[name] = null;
      if (name === "search") form.scorer = null;
    };
    return form[name] ? [chipOf(kind, form[name], remove)] : [];
  }

  function chipOf(kind, call, remove) {
    if (!chips.has(call)) chips.set(call, newChip(kind, call, remove));
    return chips.get(call);
  }

  function newChip(kind, call, remove) {
    const entry = find(kind, call.name);
    const gone = () => {
      remove();
      draw();
      part("question").focus();
    };
    if (entry) return chip(catalogue, entry, call, showCommand, gone);
    const cross = el("button", { type: "button", class: "cross", "aria-label": `Remove ${call.name}`, onclick: gone }, "×");
    return el("div", { class: "chip c0" }, el("span", { class: "name" }, spelledCall(call)), cross);
  }

  function drawInputs() {
    select(model, form.model);
    select(draft, form.draft);
    for (const name of ["question", "document", "system"]) part(name).value = form[name];
    for (const name of [...NUMBERS, "budget"]) part(name).value = form.settings[name] ?? "";
    part("seed").value = form.seed;
  }

  function showCommand() {
    part("cli").textContent = commandLine(form);
  }

  return {
    get form() {
      return form;
    },
    request: () => requestOf(form),
    // Shows a stored recipe; the document and the question stay unless they are given.
    load(recipe, texts = {}) {
      const { question, document: held, file, system } = form;
      const copied = structuredClone(recipe);
      form = { ...emptyForm(copied.model), question, document: held, file, system, ...copied, ...texts };
      delete form.settings.logprobs;
      draw();
    },
  };
}

function options(node, values) {
  node.replaceChildren(...values.map((value) => el("option", { value }, value)));
  return node;
}

// Chooses a value, which a stored recipe may hold although the server does not offer it.
function select(node, value) {
  if (![...node.options].some((option) => option.value === value)) {
    node.append(el("option", { value }, value));
  }
  node.value = value;
}

export function requestOf(form) {
  const system = form.system ? [{ role: "system", content: form.system }] : [];
  const stated = Object.entries(form.settings).filter(([name]) => SENT.includes(name));
  return {
    model: form.model,
    messages: [...system, { role: "user", content: form.question }],
    ...(form.document ? { document: form.document } : {}),
    // Stated even if empty: the server's own recipe fills in what a request leaves out.
    draft: form.draft,
    approximate: form.approximate.map(spelledCall),
    search: form.search ? spelledCall(form.search) : "",
    ...(form.search && form.scorer ? { scorer: spelledCall(form.scorer) } : {}),
    max_tokens: MOST_TOKENS,
    temperature: form.search ? WARM : 0,
    ...Object.fromEntries(stated),
    ...(form.settings.samples > 1 ? { n: form.settings.samples } : {}),
    seed: form.seed,
    stream: true,
    stream_events: true,
    ...(form.search ? {} : { logprobs: true, top_logprobs: 5 }),
  };
}
