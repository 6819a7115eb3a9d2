// Recipes in the spelling of the command line, and the command line itself.

const WORD = /^(?:(?:[A-Za-z_]|\.{0,2}\/)[\w./:-]*|\d+(?:\.\d+)?(?:[kMG]i?)?B)$/;
const QUOTED = /^(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")$/s;
const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;
const CONSTANTS = ["true", "false", "none"];

// A typed text as a value of a spelling: quoted unless it is a word, or quoted already.
export function writtenText(text) {
  const plain = WORD.test(text) && !CONSTANTS.includes(text.toLowerCase());
  return plain || QUOTED.test(text) ? text : quotation(text);
}

export function isNumber(text) {
  return NUMBER.test(text);
}

function quotation(text) {
  const escapes = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", "'": "\\'" };
  const safe = (sign) => escapes[sign] ?? `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return `'${text.replace(/[\\'\u0000-\u001f\u007f]/g, safe)}'`;
}

// `specpc(keep=512)`: a name with the settings that differ from their defaults.
export function spelledCall({ name, settings }) {
  const inner = Object.entries(settings).map(([key, value]) => `${key}=${value}`);
  return inner.length ? `${name}(${inner.join(", ")})` : name;
}

function quotedName(name) {
  return /[+@()[\]'"]/.test(name) || name !== name.trim() ? quotation(name) : name;
}

export function spelledRecipe(form) {
  const draft = form.draft === "self" ? [] : [`draft(${quotedName(form.draft)})`];
  const plain = [quotedName(form.model), ...draft, ...form.approximate.map(spelledCall)].join("+");
  const search = [form.search, form.search && form.scorer].filter(Boolean).map(spelledCall);
  return [plain, ...search].join("@");
}

function shell(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

// The command that asks the same question with the same recipe.
export function commandLine(form) {
  const words = ["forethought", "ask"];
  const add = (flag, value) => words.push(flag, shell(String(value)));
  if (form.model !== "smollm2") add("-m", quotedName(form.model));
  if (form.draft !== "self") add("-d", form.draft);
  for (const one of form.approximate) add("-x", spelledCall(one));
  if (form.search) add("-s", spelledCall(form.search));
  if (form.search && form.scorer) add("--scorer", spelledCall(form.scorer));
  for (const [name, value] of Object.entries(form.settings)) {
    if (name === "logprobs") continue; // the page asks for them, the answer does not depend on them
    const flag = `--${name.replaceAll("_", "-")}`;
    if (value === true) words.push(flag);
    else for (const one of [value].flat()) add(flag, one);
  }
  if (form.seed) add("--seed", form.seed);
  if (form.system) add("--system", form.system);
  if (form.document) add("-f", form.file || "document.txt");
  words.push(shell(form.question || "…"));
  return words.join(" ");
}
