// Methods as chips: a name, its settings, and the controls behind it.

import { parameterControl } from "./controls.js";
import { el } from "./dom.js";
import { spelledCall } from "./spelling.js";

// Families have the colours and order of the catalogue.
export function familyNumber(catalogue, family) {
  const all = Object.values(catalogue).flat().map((entry) => entry.family);
  return [...new Set(all)].indexOf(family) % 7;
}

// A chip of one call; `change()` is called after each new setting, `remove` may be null.
export function chip(catalogue, entry, call, change, remove) {
  const settings = el("code", {}, "");
  const label = () => {
    const inner = spelledCall(call).slice(call.name.length);
    settings.textContent = inner.replace(/^\(|\)$/g, "");
  };
  const cross = remove
    ? el("button", { type: "button", class: "cross", "aria-label": `Remove ${entry.name}`, onclick: remove }, "×")
    : null;
  const controls = entry.parameters.map((parameter) =>
    parameterControl(parameter, call.settings[parameter.name], (value) => {
      if (value === null) delete call.settings[parameter.name];
      else call.settings[parameter.name] = value;
      label();
      change();
    }),
  );
  const paper = entry.notes.Paper ? el("p", { class: "help" }, `Paper: ${entry.notes.Paper}`) : null;
  const exact = entry.notes.Exact ? el("p", { class: "help" }, `Exact: ${entry.notes.Exact}`) : null;
  label();
  return el(
    "div",
    { class: `chip c${familyNumber(catalogue, entry.family)}`, "data-name": entry.name },
    el(
      "details",
      {},
      el("summary", {}, el("span", { class: "name" }, entry.name), settings),
      el("div", { class: "inside" }, el("p", { class: "help about" }, entry.summary), controls, exact, paper),
    ),
    cross,
  );
}

// A select that lists entries by family, and a button that adds the chosen one. Typing in a closed
// select changes it letter by letter, so only a pointer, Enter or the button adds.
export function adder(entries, label, add) {
  const families = [...new Set(entries.map((entry) => entry.family))];
  const groups = families.map((family) =>
    el(
      "optgroup",
      { label: family },
      entries
        .filter((entry) => entry.family === family)
        .map((entry) => el("option", { value: entry.name, title: entry.summary }, entry.name)),
    ),
  );
  const select = el("select", { "aria-label": label }, el("option", { value: "" }, label), groups);
  const button = el("button", { type: "button", "aria-label": `add ${label}`, disabled: true }, "add");
  let pointed = false;
  const take = () => {
    const name = select.value;
    select.value = "";
    button.disabled = true;
    if (name) add(name);
  };
  select.addEventListener("pointerdown", () => (pointed = true));
  select.addEventListener("keydown", (event) => {
    pointed = false;
    if (event.key !== "Enter") return;
    event.preventDefault(); // the new chip takes the focus, and Enter would close it
    take();
  });
  select.addEventListener("change", () => {
    button.disabled = !select.value;
    if (pointed) take();
  });
  button.addEventListener("click", take);
  return el("div", { class: "adder" }, select, button);
}
