"use strict";
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  const theme = new URLSearchParams(location.search).get("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  document.querySelector("[data-theme-toggle]").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  const press = (button) => {
    for (const other of all("button", button.parentElement)) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  };
  for (const button of all("[data-show]")) {
    button.addEventListener("click", () => {
      press(button);
      button.closest("section").dataset.view = button.dataset.show;
    });
  }
  for (const button of all("[data-axis-button]")) {
    button.addEventListener("click", () => {
      press(button);
      for (const chart of all("[data-axis]")) {
        chart.hidden = chart.dataset.axis !== button.dataset.axisButton;
      }
    });
  }

  const reference = document.querySelector("[data-reference]");
  const choose = () => {
    for (const part of all("[data-against]")) {
      part.hidden = part.dataset.against !== reference.value;
    }
  };
  reference?.addEventListener("change", choose);
  choose();

  const kinds = {
    csv: ["text/csv", () => data.csv],
    json: ["application/json", () => JSON.stringify(data[data.name], null, 2)],
  };
  for (const button of all("[data-download]")) {
    button.addEventListener("click", () => {
      const [type, text] = kinds[button.dataset.download];
      const link = document.createElement("a");
      link.href = `data:${type};charset=utf-8,${encodeURIComponent(text())}`;
      link.download = `${data.name}.${button.dataset.download}`;
      link.click();
    });
  }

  const hide = () => all(".tip.shown").forEach((tip) => tip.classList.remove("shown"));
  const show = (point) => {
    hide();
    const tip = document.getElementById(`tip-${point.dataset.tip}`);
    tip.classList.add("shown");
    const mark = point.querySelector(".at").getBoundingClientRect();
    const room = root.clientWidth - tip.offsetWidth - 8;
    const left = mark.right + 10 > room ? mark.left - tip.offsetWidth - 10 : mark.right + 10;
    const top = Math.min(mark.top - 10, root.clientHeight - tip.offsetHeight - 8);
    tip.style.left = `${Math.max(8, Math.min(left, room)) + scrollX}px`;
    tip.style.top = `${Math.max(8, top) + scrollY}px`;
  };
  for (const point of all("[data-tip]")) {
    point.addEventListener("pointerenter", () => show(point));
    point.addEventListener("focus", () => show(point));
    point.addEventListener("pointerleave", hide);
    point.addEventListener("blur", hide);
  }
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });

  for (const item of all(".legend [data-family]")) {
    const chart = item.closest(".chart");
    const light = (on) => {
      chart.classList.toggle("faded", on);
      for (const part of all("[data-family]", chart)) {
        part.classList.toggle("lit", on && part.dataset.family === item.dataset.family);
      }
    };
    item.addEventListener("pointerenter", () => light(true));
    item.addEventListener("pointerleave", () => light(false));
  }
})();
