// Controls of a method's parameters, made from their types and limits.

import { el } from "./dom.js";
import { isNumber, writtenText } from "./spelling.js";

const WIDE = 1 << 20; // the highest count: no slider reaches it
let made = 0;

// A labelled control; `change(value)` gets the spelled value, or null for the default.
export function parameterControl(parameter, value, change) {
  made += 1;
  const id = `parameter-${made}`;
  const report = (text) => change(text === "" || text === parameter.default ? null : text);
  const { input, parts } = BUILT[parameter.control.kind](parameter, value ?? parameter.default, report);
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-help`);
  input.title = parameter.limits;
  return el(
    "div",
    { class: `control ${parameter.control.kind}${parts.length > 1 ? " slides" : ""}` },
    el("label", { for: id }, parameter.name.replaceAll("_", " ")),
    el("div", { class: "inputs" }, parts),
    el("p", { class: "help", id: `${id}-help` }, parameter.help || parameter.limits),
  );
}

const BUILT = { choice, switch: onOff, whole: number, number, keep, text };

function choice(parameter, value, report) {
  const options = parameter.control.options.map((one) => el("option", { selected: one === value }, one));
  const input = el("select", {}, options);
  input.addEventListener("change", () => report(input.value));
  return { input, parts: [input] };
}

function onOff(parameter, value, report) {
  const input = el("input", { type: "checkbox", checked: value === "true" });
  input.addEventListener("change", () => report(String(input.checked)));
  return { input, parts: [input] };
}

function number(parameter, value, report) {
  const { low, high, kind, optional } = parameter.control;
  const step = kind === "whole" ? (parameter.control.step ?? 1) : "any";
  const input = el("input", {
    type: "number", min: low, max: high < WIDE ? high : null, step,
    value: value === "none" ? "" : value, placeholder: optional ? "none" : parameter.default,
  });
  const told = () => (input.value === "" && optional ? "none" : input.value);
  input.addEventListener("input", () => input.checkValidity() && report(told()));
  const slides = kind === "number" && high !== undefined && !optional;
  if (!slides) return { input, parts: [input] };
  const slider = el("input", {
    type: "range", min: low, max: high, step: high <= 2 ? 0.01 : 0.1, value,
    "aria-label": parameter.name,
  });
  slider.addEventListener("input", () => {
    input.value = slider.value;
    report(told());
  });
  input.addEventListener("input", () => (slider.value = input.value));
  return { input, parts: [slider, input] };
}

// A budget: a share of the prompt, a number of tokens, or bytes.
function keep(parameter, value, report) {
  const input = el("input", { type: "text", value, size: 7, spellcheck: "false", required: true });
  const slider = el("input", {
    type: "range", min: 1, max: 100, value: shareOf(value),
    "aria-label": `${parameter.name}, as a share in percent`,
  });
  const follow = () => {
    slider.value = shareOf(input.value);
    slider.classList.toggle("off", !isShare(input.value));
  };
  follow();
  const told = () => {
    const text = input.value.trim();
    const right = /^(?:\d+(?:\.\d+)?(?:[kMGT]i?)?B|[1-9]\d*|0?\.\d+|1\.0*)$/.test(text);
    input.setCustomValidity(right ? "" : "a whole number, a share such as 0.25, or bytes such as 8MiB");
    if (right) report(text);
  };
  input.addEventListener("input", () => {
    follow();
    told();
  });
  slider.addEventListener("input", () => {
    input.value = slider.value === "100" ? "1.0" : (Number(slider.value) / 100).toFixed(2);
    follow();
    told();
  });
  return { input, parts: [slider, input] };
}

function isShare(value) {
  return value.includes(".") && isNumber(value);
}

function shareOf(value) {
  return isShare(value) ? Math.round(100 * Number(value)) : 100;
}

function text(parameter, value, report) {
  const input = el("input", {
    type: "text", value: value === "none" ? "" : value, spellcheck: "false",
    placeholder: parameter.control.optional ? "none" : parameter.default,
  });
  input.addEventListener("input", () => {
    const typed = input.value.trim();
    report(typed === "" ? "" : isNumber(typed) ? `'${typed}'` : writtenText(typed));
  });
  return { input, parts: [input] };
}
