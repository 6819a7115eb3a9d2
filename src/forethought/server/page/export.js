// The exported file: one run, shown with the modules of the page.

import { runView } from "./run_view.js";
import { setUpTabs } from "./tabs.js";
import { setUpTheme } from "./theme.js";

const data = JSON.parse(document.getElementById("data").textContent);
setUpTheme(document.getElementById("theme"));
setUpTabs(document.getElementById("tabs"));
document.getElementById("asked").textContent = data.run.question;
document.getElementById("spelled").textContent = data.run.recipe;
const view = runView();
view.show(data.events);
view.showPrompt(data.run.prompt);
