"""Tuned settings as terminal text."""

from __future__ import annotations

import textwrap

from forethought.contracts.settings import SettingsTrial, TunedSettings
from forethought.reports.terminal.printable import printable
from forethought.reports.units import flops


def settings_text(found: TunedSettings, *, width: int) -> str:
    """The chosen recipe, its evidence, and all trials."""
    trials = sorted(found.trials, key=lambda one: one.cost_of_pass or float("inf"))
    exact = f"exact: {_costs(found.exact_flops, found.exact_cost_of_pass)}"
    lines = [exact, *(trial_line(one) for one in trials)]
    parts = [textwrap.fill(one, width) for one in (_choice(found), _guard(found))]
    return "\n\n".join([*parts, "\n".join(lines)])


def trial_line(trial: SettingsTrial) -> str:
    """One measured recipe."""
    name = printable(trial.recipe)
    if trial.change is None or trial.flops is None:
        return f"{name}: refused: {printable(trial.refused)}"
    held = "" if trial.admissible else ", loses too much"
    return f"{name}: {_costs(trial.flops, trial.cost_of_pass)}, {_points(trial.change)}{held}"


def _choice(found: TunedSettings) -> str:
    tried = f"{len(found.trials)} of {found.candidates:,} candidates measured"
    allowed = f"a loss of at most {100 * found.loss:g} points"
    best = next((one for one in found.trials if one.recipe == found.best), None)
    if best is None:
        return f"No recipe has {allowed}: keep the exact run. {tried}."
    cheaper = (
        best.cost_of_pass is not None
        and found.exact_cost_of_pass is not None
        and best.cost_of_pass < found.exact_cost_of_pass
    )
    beside = "" if cheaper else " The exact run is no dearer for each right answer."
    return f"Best: {printable(found.best)}, of least cost-of-pass with {allowed}; {tried}.{beside}"


def _guard(found: TunedSettings) -> str:
    tuning, holdout = found.questions
    halves = f"The search saw {tuning:,} questions, and {holdout:,} were held out"
    if found.held_out is not None:
        one = found.held_out
        return (
            f"{halves}. On these the best differs from exact by {_points(one.value)} (95 %: "
            f"{100 * one.low:+.1f} to {100 * one.high:+.1f}); ask this once."
        )
    if found.budget_left is not None:
        return f"{halves} behind Thresholdout, which answers {found.budget_left} more charged ones."
    return f"{halves}."


def _costs(each: float, passed: float | None) -> str:
    right = "none was right" if passed is None else f"{flops(passed)} per right answer"
    return f"{flops(each)} a run, {right}"


def _points(change: float) -> str:
    return f"{100 * change:+.1f} points"
