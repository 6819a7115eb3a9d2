// Numbers in words: counts, bytes, seconds, FLOPs, factors.

export function count(value) {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

function scaled(value, base, units) {
  let place = 0;
  let left = value;
  while (Math.abs(left) >= base && place < units.length - 1) {
    left /= base;
    place += 1;
  }
  const digits = left >= 100 || place === 0 ? 0 : left >= 10 ? 1 : 2;
  return `${left.toFixed(digits)} ${units[place]}`;
}

export function bytes(value) {
  return scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
}

export function flops(value) {
  return scaled(value, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"]);
}

export function seconds(value) {
  if (value < 1) return `${(1000 * value).toFixed(value < 0.1 ? 1 : 0)} ms`;
  return `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

// A ratio such as "0.31 ×"; empty if the reference is unknown.
export function factor(value, of) {
  if (!of) return "";
  const ratio = value / of;
  return `${ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0)} ×`;
}

export function percent(share) {
  const value = 100 * share;
  return `${value > 0 && value < 0.1 ? "<0.1" : value.toFixed(value < 10 ? 1 : 0)} %`;
}

export function clock(unixSeconds) {
  const date = new Date(1000 * unixSeconds);
  const today = date.toDateString() === new Date().toDateString();
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  const day = { month: "short", day: "numeric" };
  return date.toLocaleString("en-GB", today ? options : { ...day, ...options });
}

// White space made visible, for a token or a stop string.
export function visible(text) {
  const shown = text.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "␣");
  return shown === "" ? "(no text)" : shown;
}
