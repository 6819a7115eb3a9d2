// Light or dark: the system's choice, until the switch or ?theme= states one.

const KEY = "forethought-theme";

export function setUpTheme(button) {
  const root = document.documentElement;
  const stated = new URLSearchParams(location.search).get("theme") ?? remembered();
  if (stated === "light" || stated === "dark") root.dataset.theme = stated;
  button.addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember(root.dataset.theme);
  });
}

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is closed to files and to private windows
  }
}

function remember(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The choice lasts until the page is left.
  }
}
