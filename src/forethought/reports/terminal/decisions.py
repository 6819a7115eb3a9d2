"""The decisions of a spending rule as terminal text: each with its belief and alternatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forethought.reports.terminal.printable import printable

_UNITS = {"usd": "${:.3g}", "flops": "{:.3g} FLOPs", "tokens": "{:.3g} tokens"}
_WAYS = {"target": "the model", "draft": "the draft", "shortened": "the shortened prompt"}
Document = Mapping[str, Any]


def summary(run: Document) -> str:
    """The last decision in one line; empty for a run without decisions."""
    told: Sequence[Document] = run.get("decisions") or ()
    if not told:
        return ""
    last = told[-1]
    value = _amount(last["value"], last["unit"])
    return f"{last['after']} answers, then {_chosen(last)}; a right answer is worth {value}"


def lines(run: Document) -> list[str]:
    """Every decision: what was known, and what each action was expected to bring."""
    found: list[str] = []
    for one in run.get("decisions") or ():
        spent, value = (_amount(one[name], one["unit"]) for name in ("spent", "value"))
        found.append(f"after {one['after']} answers, {spent} spent; a right one is worth {value}")
        found.append(f"  belief (not calibrated): {_belief(one['belief'])}")
        found.append(f"  {_why(one)}")
        found += [f"  {_action(other, one)}" for other in one["alternatives"]]
    return found


def _chosen(decision: Document) -> str:
    right = decision["belief"]["right"]
    action = decision["chosen"]["action"]
    return f"{action} at probability {right:.2f} of a right one (not calibrated)"


def _why(decision: Document) -> str:
    """The chosen action, and how much more it is expected to bring than the next best one."""
    best, *others = decision["alternatives"]
    if not others:
        return f"{_named(best)} is the only action left"
    net, more = (
        _amount(value, decision["unit"]) for value in (best["net"], best["net"] - others[0]["net"])
    )
    return f"{_named(best)} is expected to bring {net}, {more} more than {_named(others[0])}"


def _named(one: Document) -> str:
    way = _WAYS.get(one["way"], printable(one["way"]))
    joint = "to" if one["action"] == "switch" else "from"
    return f"{one['action']} {joint} {way}" if one["way"] else str(one["action"])


def _belief(belief: Document) -> str:
    rates = (
        f"{_WAYS.get(way, printable(way))} {_rate(one)}" for way, one in belief["success"].items()
    )
    groups = ", ".join(map(str, sorted(belief["groups"], reverse=True))) or "none"
    return "; ".join((f"right {belief['right']:.2f}", f"answers by agreement {groups}", *rates))


def _rate(one: Document) -> str:
    return f"succeeds at {one['mean']:.2f} (90 %: {one['low']:.2f} to {one['high']:.2f})"


def _action(other: Document, decision: Document) -> str:
    mark = "▶" if other == decision["chosen"] else " "
    net = _amount(other["net"], decision["unit"])
    told = f"{mark} {_named(other)}: net {net}, right {other['right']:.2f}"
    if not other["way"]:
        return told
    price = _amount(other["price"], decision["unit"])
    return f"{told}, {other['answers']:.1f} more answers for {price}"


def _amount(number: float, unit: str) -> str:
    return _UNITS[unit].format(number)
