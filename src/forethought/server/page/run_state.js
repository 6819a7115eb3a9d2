// A run as its events build it: the same for a live run, a stored one and an exported one.

export function newRun() {
  return {
    notes: [],
    stages: [],
    answers: [], // the tokens of each plain answer
    candidates: [], // the progress of a search, in order
    decisions: [], // those of a spending rule, in order
    run: null, // the document, once the run is done
    prompt: null, // the texts of the prompt's tokens, if the server keeps prompts
    error: null,
  };
}

export function applied(state, event) {
  const data = event.data;
  switch (event.kind) {
    case "note":
      state.notes.push(data.text);
      break;
    case "stage":
      state.stages.push(data);
      break;
    case "token":
      (state.answers[data.candidate ?? 0] ??= []).push(data);
      break;
    case "candidate":
      state.candidates.push(data);
      break;
    case "decision":
      state.decisions.push(data);
      break;
    case "done":
      state.run = data.run;
      break;
    case "error":
      state.error = { message: data.message ?? "the run failed", hint: data.hint ?? "" };
      break;
  }
}

export function started(state) {
  return Boolean(
    state.answers.length ||
      state.candidates.length ||
      state.decisions.length ||
      state.stages.length ||
      state.notes.length ||
      state.run ||
      state.error,
  );
}
