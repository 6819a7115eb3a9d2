"""The search tree of a run as SVG: samples per branch, scores, pruned branches."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

Path = tuple[int, ...]

_CONTROLS = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_ROW = 26.0
_TOP = 20.0
_LEFT = 16.0
_LABEL = 350.0
_WIDEST, _NARROWEST = 150.0, 28.0
_WIDTH = 960.0
_STYLE = """
:root { color-scheme: light dark; }
svg.tree { font: 13px/1.3 system-ui, sans-serif; background: light-dark(#ffffff, #14171b);
  --ink: light-dark(#1d2329, #e8eaed); --soft: light-dark(#5b6570, #a3adb8);
  --gone: light-dark(#c9ced4, #444c56); --plain: light-dark(#7d8994, #8b96a3);
  --low: light-dark(#d3e3f3, #23405c); --high: light-dark(#0b4f96, #8ec9ff); }
.tree text { fill: var(--ink); } .tree .aside { fill: var(--soft); }
.tree path { fill: none; stroke: var(--shade); stroke-linecap: round; }
.tree circle { fill: var(--shade); } .tree .chosen text { font-weight: 650; }
.tree .gone { --shade: var(--gone) !important; } .tree .gone text { fill: var(--soft); }
.tree .chosen circle { stroke: var(--ink); stroke-width: 2; }
"""


@dataclass
class _Node:
    """A step that one or more candidates share."""

    text: str = ""
    score: float | None = None
    children: dict[tuple[str, int], _Node] = field(default_factory=dict)
    leaf: Mapping[str, Any] | None = None
    """The candidate that ends here."""
    depth: int = 0
    row: float = 0.0

    samples: int = 0
    """Number of candidates at or below this node."""
    gone: bool = False
    """Whether every candidate at or below it was pruned."""
    chosen: bool = False
    """Whether the chosen candidate passes through it."""

    def sum_up(self) -> None:
        """Aggregate the children, which were aggregated before."""
        leaf, children = self.leaf, self.children.values()
        self.samples = (leaf is not None) + sum(one.samples for one in children)
        self.gone = (leaf is None or bool(leaf["pruned"])) and all(one.gone for one in children)
        own = leaf is not None and bool(leaf["chosen"])
        self.chosen = own or any(one.chosen for one in children)


def search_tree(run: Mapping[str, Any]) -> str:
    """The search tree of a run's document as one SVG, in light and dark colours.

    Width shows the number of samples, colour the score, and grey a pruned branch. Empty if the
    run is not a search.
    """
    found = [one for one in run["candidates"] if "path" in one]
    if not found:
        return ""
    root = _built(found)
    _merge_chains(root)
    nodes = _postorder(root)
    rows = _assign_rows(nodes)
    deepest = max(node.depth for node in nodes)
    step = min(_WIDEST, max(_NARROWEST, (_WIDTH - _LABEL - _LEFT) / max(deepest, 1)))
    width = _LEFT + deepest * step + _LABEL
    height = 2 * _TOP + _ROW * max(rows - 1, 0)
    body = "".join([*_branches(nodes, step), *(_dot(node, step, root.samples) for node in nodes)])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tree" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="The search as a tree: {len(found)} candidates">'
        f"<style>{_STYLE}</style>{body}</svg>\n"
    )


def tree_page(run: Mapping[str, Any]) -> str:
    """An HTML page with the answer and the tree."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(run['recipe'])}</title><style>body {{ margin: 2rem auto; max-width: 72rem;"
        " padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color-scheme: light dark;"
        " background: light-dark(#fff, #14171b); color: light-dark(#1d2329, #e8eaed); }"
        " pre { white-space: pre-wrap; } div { overflow-x: auto; }</style></head><body>"
        f"<h1>{_text(run['recipe'])}</h1><pre>{_text(run['answer'])}</pre>"
        f"<div>{search_tree(run)}</div></body></html>\n"
    )


def _built(found: Iterable[Mapping[str, Any]]) -> _Node:
    root = _Node("start")
    for one in found:
        node = root
        steps = one.get("steps") or [{"text": one["text"], "score": one["score"]}]
        path, topic = list(one["path"]), str(one.get("question", ""))
        # A candidate may have fewer steps than its path has elements.
        for place, number in enumerate(path):
            child = node.children.setdefault((topic, number), _Node(depth=node.depth + 1))
            if place < len(steps):
                child.text, child.score = steps[place]["text"], steps[place]["score"]
            node = child
        node.leaf = one
    return root


def _merge_chains(root: _Node) -> None:
    """Merge chains of nodes without scores or branches, such as single tokens."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for child in node.children.values():
            while child.leaf is None and child.score is None and len(child.children) == 1:
                (only,) = child.children.values()
                if only.score is not None:
                    break
                child.text += only.text
                child.children, child.leaf = only.children, only.leaf
            child.depth = node.depth + 1
            waiting.append(child)


def _postorder(root: _Node) -> list[_Node]:
    """All nodes in postorder, without recursion."""
    waiting, found = [root], list[_Node]()
    while waiting:
        found.append(waiting.pop())
        waiting += [found[-1].children[key] for key in sorted(found[-1].children)]
    return found[::-1]


def _assign_rows(nodes: Sequence[_Node]) -> float:
    """Assign rows: leaves in order, inner nodes in the middle of their children."""
    row = 0.0
    for node in nodes:
        node.sum_up()
        if node.children:
            rows = [child.row for child in node.children.values()]
            node.row = (min(rows) + max(rows)) / 2
        if node.leaf is not None or not node.children:  # an answer may have children too
            node.row, row = row, row + 1
    return row


def _branches(nodes: Sequence[_Node], step: float) -> Iterator[str]:
    for node in nodes:
        x, y = _place(node, step)
        for child in node.children.values():
            yield _branch(child, x, y, step, nodes[-1].samples)


def _dot(node: _Node, step: float, total: int) -> str:
    """A node with its tooltip."""
    x, y = _place(node, step)
    said = f"{node.samples} of {total} samples" + _scored(node.score)
    title = f"<title>{escape(said)}\n\n{_text(node.text.strip())}</title>"
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4 if node.leaf else 3}"/>'
    shown = f"{title}{dot}{_label(node, x, y)}"
    return f'<g class="{_kind(node)}" style="{_shade(node)}">{shown}</g>'


def _branch(child: _Node, x: float, y: float, step: float, total: int) -> str:
    end_x, end_y = _place(child, step)
    half = (x + end_x) / 2
    width = 1 + 9 * math.sqrt(child.samples / total)
    return (
        f'<path class="{_kind(child)}" style="{_shade(child)}" stroke-width="{width:.1f}" '
        f'd="M{x:.1f} {y:.1f}C{half:.1f} {y:.1f} {half:.1f} {end_y:.1f} {end_x:.1f} {end_y:.1f}"/>'
    )


def _place(node: _Node, step: float) -> tuple[float, float]:
    return _LEFT + node.depth * step, _TOP + node.row * _ROW


def _kind(node: _Node) -> str:
    return "gone" if node.gone else "chosen" if node.chosen else "kept"


def _shade(node: _Node) -> str:
    if node.score is None:
        return "--shade: var(--plain)"
    share = round(100 * min(max(node.score, 0.0), 1.0))
    return f"--shade: color-mix(in oklab, var(--high) {share}%, var(--low))"


def _label(node: _Node, x: float, y: float) -> str:
    """The last line of a candidate, and its weight or score."""
    if node.leaf is None:
        return ""
    numbers = [one for one in (node.leaf["weight"], node.leaf["score"]) if one is not None]
    figure = " · ".join(f"{one:.2f}" for one in numbers[:1])
    ending = _ending(str(node.leaf["text"]))
    aside = f'<tspan class="aside">{figure}  </tspan>' if figure else ""
    return f'<text x="{x + 10:.1f}" y="{y + 4:.1f}">{aside}{_text(ending)}</text>'


def _text(said: str) -> str:
    """Escaped text; XML forbids control characters even when escaped."""
    return escape(_CONTROLS.sub("\ufffd", said))


def _ending(text: str) -> str:
    lines: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else "(nothing)"
    return last if len(last) <= 38 else f"{last[:37]}…"


def _scored(score: float | None) -> str:
    return "" if score is None else f" · score {score:.2f}"
