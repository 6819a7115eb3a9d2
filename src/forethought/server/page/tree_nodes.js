// The nodes of a search tree, from the progress of a search and its final candidates.

const DEEPEST = 24; // deeper trees have chains of single tokens, which are merged

function node(order, depth) {
  return {
    text: "", score: null, children: new Map(), leaf: null, order, depth,
    row: 0, samples: 0, gone: false, chosen: false, tokens: 0, finish: "",
  };
}

export function searchTree(state) {
  const root = node(0, 0);
  state.candidates.forEach((one, place) => {
    const found = reached(root, one.path, one.question, place + 1);
    Object.assign(found, { text: one.text, tokens: one.tokens, finish: one.finish });
  });
  const last = state.candidates.length;
  const final = (state.run?.candidates ?? []).filter((one) => one.path);
  for (const one of final) place(root, one, last);
  if (deepest(root) > DEEPEST) mergeChains(root);
  const nodes = postorder(root, []);
  if (!state.run) for (const one of nodes) one.leaf = leafOf(one);
  for (const one of nodes) sumUp(one);
  assignRows(nodes);
  return { root, nodes, scores: nodes.map((one) => one.score).filter((score) => score !== null) };
}

function reached(root, path, question, order) {
  let at = root;
  for (const number of path) {
    const key = `${question ?? ""}\u0000${number}`;
    if (!at.children.has(key)) at.children.set(key, node(order, at.depth + 1));
    at = at.children.get(key);
  }
  return at;
}

// Steps and scores of a final candidate; it may have fewer steps than its path has elements.
function place(root, one, order) {
  const steps = one.steps ?? [{ text: one.text, score: one.score }];
  let at = root;
  one.path.forEach((number, depth) => {
    at = reached(at, [number], one.question, order);
    if (depth < steps.length) Object.assign(at, { text: steps[depth].text, score: steps[depth].score });
  });
  Object.assign(at, { leaf: one, tokens: one.tokens, finish: one.finish });
}

// While a search runs, every node without children is a candidate.
function leafOf(one) {
  return one.children.size || one.depth === 0
    ? null
    : { text: one.text, weight: null, score: null, pruned: false, chosen: false };
}

function deepest(one) {
  return Math.max(one.depth, ...[...one.children.values()].map(deepest));
}

function mergeChains(one) {
  for (const child of one.children.values()) {
    while (child.leaf === null && child.score === null && child.children.size === 1) {
      const [only] = child.children.values();
      if (only.score !== null) break;
      child.text += only.text;
      Object.assign(child, {
        children: only.children, leaf: only.leaf, tokens: only.tokens, finish: only.finish,
      });
    }
    child.depth = one.depth + 1;
    mergeChains(child);
  }
}

function postorder(one, found) {
  for (const child of one.children.values()) postorder(child, found);
  found.push(one);
  return found;
}

function sumUp(one) {
  const children = [...one.children.values()];
  one.samples = Number(one.leaf !== null) + children.reduce((sum, child) => sum + child.samples, 0);
  one.gone = (one.leaf === null || one.leaf.pruned) && children.every((child) => child.gone);
  if (one.leaf === null && !children.length) one.gone = false;
  one.chosen = Boolean(one.leaf?.chosen) || children.some((child) => child.chosen);
}

// Leaves in order, inner nodes in the middle of their children.
function assignRows(nodes) {
  let row = 0;
  for (const one of nodes) {
    if (one.children.size) {
      const rows = [...one.children.values()].map((child) => child.row);
      one.row = (Math.min(...rows) + Math.max(...rows)) / 2;
    }
    if (one.leaf !== null || !one.children.size) {
      one.row = row;
      row += 1;
    }
  }
}
