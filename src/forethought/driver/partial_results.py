"""The result of a search that ended early: the best of its candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.search import Candidate, Found, Path

Scores = dict[tuple[str, Path], float]
"""By identity of a candidate."""


def budget_spent(before: str) -> BudgetSpentError:
    """The error of an ask that the budget does not cover; the candidates did not get `before`."""
    return BudgetSpentError(
        f"the budget was spent before the candidates {before}",
        "allow more, draw fewer, or use a strategy that asks for less",
    )


def best_so_far(
    written: Sequence[Candidate], scores: Scores, notes: tuple[str, ...]
) -> Found | None:
    """The best whole answer, else the best partial one; None if there is neither."""
    started = [one for one in _answers(written) if one.text]
    if not started:
        return None
    # Candidates that others extend are parts of those, such as a beam's earlier tokens.
    within = {(one.question, path) for one in started for path in _ancestors(one.path)}
    started = [one for one in started if one.identity not in within]
    found = [one for one in started if one.whole] or started
    rank = _ranked(scores)
    best = max(found, key=lambda one: (*rank(one), one.tokens))
    return Found(best, tuple(found), notes=notes)


def first_of(written: Sequence[Candidate]) -> Found | None:
    """The first of several plain answers; None if there is none."""
    return Found(written[0], tuple(written)) if written else None


def _ranked(scores: Scores) -> Callable[[Candidate], tuple[float, float]]:
    """Rank by the score of the candidate or its nearest scored ancestor, then by likelihood."""

    def rank(one: Candidate) -> tuple[float, float]:
        likely = one.mean_log_probability if one.whole else -inf
        known = [scores.get((one.question, path)) for path in (one.path, *_ancestors(one.path))]
        return next((score for score in known if score is not None), -inf), likely

    return rank


def _ancestors(path: Path) -> list[Path]:
    """The paths of the ancestors, nearest first."""
    return [path[:size] for size in range(len(path) - 1, -1, -1)]


def _answers(written: Sequence[Candidate]) -> list[Candidate]:
    """Candidates that answer the run's question; intermediate text is left out."""
    return [one for one in written if one.asked or not one.question]
