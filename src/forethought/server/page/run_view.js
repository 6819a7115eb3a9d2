// The view of one run, fed by its events: live, stored or exported.

import { answerView } from "./answer.js";
import { costView } from "./cost.js";
import { decisionsView } from "./decisions.js";
import { stripView } from "./heat_strip.js";
import { applied, newRun, started } from "./run_state.js";
import { treeView } from "./tree.js";

export function runView() {
  const part = (name) => document.getElementById(name);
  const views = [
    answerView(part("answer")),
    stripView(part("prompt")),
    treeView(part("tree")),
    costView(part("cost")),
    decisionsView(part("decisions")),
  ];
  let state = newRun();
  render();

  function render() {
    part("answer-empty").hidden = started(state);
    for (const view of views) view.render(state);
  }

  return {
    get state() {
      return state;
    },
    reset() {
      state = newRun();
      render();
    },
    show(events) {
      for (const event of events) applied(state, event);
      render();
    },
    showPrompt(prompt) {
      state.prompt = prompt;
      render();
    },
  };
}
