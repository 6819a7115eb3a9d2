// One tooltip for the whole page, and arrow keys among the items of a container.

import { el } from "./dom.js";

let tip = null;
let at = null; // the item that the tooltip describes

function element() {
  if (tip === null) {
    tip = el("div", { class: "tip", id: "tip", role: "status", "aria-live": "polite" });
    document.body.append(tip);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hideTip();
    });
    document.addEventListener("pointerdown", (event) => {
      if (at && !at.contains(event.target)) hideTip();
    });
    addEventListener("scroll", follow, { passive: true, capture: true });
  }
  return tip;
}

// Keyboard steps scroll their item into view, and the tooltip goes with it.
function follow() {
  if (at?.isConnected && inView(at)) place();
  else hideTip();
}

export function hideTip() {
  at = null;
  tip?.classList.remove("shown");
}

function showTip(target, content) {
  const node = element();
  node.replaceChildren(...content);
  node.classList.add("shown");
  at = target;
  place();
}

function place() {
  const node = element();
  const mark = at.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;
  const high = document.documentElement.clientHeight;
  const left = Math.max(8, Math.min(mark.left, wide - node.offsetWidth - 8));
  const below = mark.bottom + 8;
  const above = mark.top - node.offsetHeight - 8;
  const top = below + node.offsetHeight > high - 8 && above > 8 ? above : below;
  node.style.left = `${left + scrollX}px`;
  node.style.top = `${top + scrollY}px`;
}

// Shows `describe(item)` while an item matching `selector` is pointed at, focused or reached by
// arrow keys. `describe` returns a list of nodes; an empty one hides the tooltip.
export function withTips(container, selector, describe) {
  const show = (item) => {
    const content = item ? describe(item) : [];
    if (content.length) showTip(item, content);
    else hideTip();
  };
  const itemOf = (event) => event.target.closest?.(selector);
  container.addEventListener("pointerover", (event) => show(itemOf(event)));
  container.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") hideTip(); // a finger leaves at once
  });
  container.addEventListener("focusin", (event) => itemOf(event) && show(itemOf(event)));
  container.addEventListener("focusout", () => {
    container.querySelector(".current")?.classList.remove("current");
    hideTip();
  });
  container.addEventListener("keydown", (event) => onKey(event, container, selector, show));
}

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

function onKey(event, container, selector, show) {
  const items = [...container.querySelectorAll(selector)];
  const old = items.findIndex((item) => item.classList.contains("current"));
  if (event.key === "Enter" && old >= 0) {
    items[old].dispatchEvent(new MouseEvent("click", { bubbles: true }));
    return;
  }
  const ends = { Home: 0, End: items.length - 1 };
  const wanted = event.key in STEPS ? Math.max(0, old + STEPS[event.key]) : ends[event.key];
  if (wanted === undefined || !items.length || event.target !== container) return;
  event.preventDefault();
  const next = items[Math.min(wanted, items.length - 1)];
  items[old]?.classList.remove("current");
  next.classList.add("current");
  if (!inView(next)) next.scrollIntoView({ block: "nearest", inline: "nearest" });
  show(next);
}

function inView(node) {
  const box = node.getBoundingClientRect();
  return box.top >= 0 && box.bottom <= document.documentElement.clientHeight;
}
