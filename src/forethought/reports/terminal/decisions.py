"""The decisions of a spending rule as terminal text: each with its belief and alternatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forethought.reports.terminal.printable import printable

_UNITS = {"usd": "${:.3g}", "flops": "{:.3g} FLOPs", "tokens": "{:.3g} tokens"}
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
        found += [f"  {_action(other, one)}" for other in one["alternatives"]]
    return found


def _chosen(decision: Document) -> str:
    right = decision["belief"]["right"]
    action = decision["chosen"]["action"]
    return f"{action} at probability {right:.2f} of a right one (not calibrated)"


def _belief(belief: Document) -> str:
    rates = (f"{printable(way)} {_rate(one)}" for way, one in belief["success"].items())
    groups = ", ".join(map(str, sorted(belief["groups"], reverse=True))) or "none"
    return "; ".join((f"right {belief['right']:.2f}", f"answers by agreement {groups}", *rates))


def _rate(one: Document) -> str:
    return f"succeeds at {one['mean']:.2f} (90 %: {one['low']:.2f} to {one['high']:.2f})"


def _action(other: Document, decision: Document) -> str:
    mark = "▶" if other == decision["chosen"] else " "
    net = _amount(other["net"], decision["unit"])
    told = f"{mark} {other['action']:<7} net {net}, right {other['right']:.2f}"
    if not other["way"]:
        return told
    price = _amount(other["price"], decision["unit"])
    return (
        f"{told}, {other['answers']:.1f} more answers of the {printable(other['way'])} for {price}"
    )


def _amount(number: float, unit: str) -> str:
    return _UNITS[unit].format(number)
