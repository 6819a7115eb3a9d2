"""Tuned settings as terminal text."""

from __future__ import annotations

import textwrap

from forethought.contracts.settings import SettingsTrial, TunedSettings
from forethought.reports.terminal.printable import printable
from forethought.reports.units import dollars, flops, seconds


def settings_text(found: TunedSettings, *, width: int) -> str:
    """The chosen recipe, its evidence, and all trials."""
    trials = sorted(found.trials, key=lambda one: one.cost_of_pass or float("inf"))
    price = found.usd_per_hour
    each = _costs(found.exact_flops, found.exact_seconds, found.exact_cost_of_pass, price)
    lines = [f"exact: {each}", *(trial_line(one, price) for one in trials)]
    parts = [textwrap.fill(one, width) for one in (_choice(found), _guard(found))]
    return "\n\n".join([*parts, "\n".join(lines)])


def trial_line(trial: SettingsTrial, usd_per_hour: float | None = None) -> str:
    """One measured recipe, with its price if this machine has one."""
    name = _named(trial.recipe, trial.engine)
    if trial.change is None or trial.flops is None:
        return f"{name}: refused: {printable(trial.refused)}"
    held = "" if trial.admissible else ", loses too much"
    each = _costs(trial.flops, trial.seconds, trial.cost_of_pass, usd_per_hour)
    return f"{name}: {each}, {_points(trial.change)}{held}"


def _named(recipe: str, engine: str) -> str:
    return printable(f"{recipe} with {engine}" if engine else recipe)


def _choice(found: TunedSettings) -> str:
    tried = f"{len(found.trials)} of {found.candidates:,} candidates measured"
    allowed = f"a loss of at most {100 * found.loss:g} points"
    chosen = found.best, found.best_engine
    best = next((one for one in found.trials if (one.recipe, one.engine) == chosen), None)
    if best is None:
        return f"No recipe has {allowed}: keep the exact run. {tried}."
    cheaper = (
        best.cost_of_pass is not None
        and found.exact_cost_of_pass is not None
        and best.cost_of_pass < found.exact_cost_of_pass
    )
    beside = "" if cheaper else " The exact run is no dearer for each right answer."
    return f"Best: {_named(*chosen)}, of least cost-of-pass with {allowed}; {tried}.{beside}"


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


def _costs(
    each: float, taken: float | None, passed: float | None, usd_per_hour: float | None
) -> str:
    """FLOPs of a run, or its seconds if they are the objective, and the same for a right answer."""
    own = flops(each) if taken is None else seconds(taken)
    if passed is None:
        return f"{own} a run, none was right"
    right = flops(passed) if taken is None else seconds(passed)
    if taken is not None and usd_per_hour is not None:
        right += f" ({dollars(passed * usd_per_hour / 3600)})"
    return f"{own} a run, {right} per right answer"


def _points(change: float) -> str:
    return f"{100 * change:+.1f} points"
