"""What a search that is ended from outside came to: the best of what it had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from forethought.contracts.errors import BudgetSpentError
from forethought.contracts.search import Candidate, Found, Path

Scores = dict[tuple[str, Path], float]
"""By identity of a candidate."""


def nothing_left(before: str) -> BudgetSpentError:
    """The error of an ask that the budget does not cover, made before the candidates `before`."""
    return BudgetSpentError(
        f"the budget was spent before the candidates {before}",
        "allow more, draw fewer, or use a strategy that asks for less",
    )


def best_so_far(
    written: Sequence[Candidate], scores: Scores, notes: tuple[str, ...]
) -> Found | None:
    """The best answer that is whole, else the longest beginning; None where there is neither."""
    begun = [one for one in _answers(written) if one.text]
    if not begun:
        return None
    # What others grew from is a part of those, such as all tokens of a beam but the newest.
    within = {one.path[:size] for one in begun for size in range(len(one.path))}
    begun = [one for one in begun if one.path not in within]
    found = [one for one in begun if one.whole] or begun
    rank = _ranked(scores)
    best = max(found, key=lambda one: (*rank(one), one.tokens))
    return Found(best, tuple(found), notes=notes)


def _ranked(scores: Scores) -> Callable[[Candidate], tuple[float, float]]:
    """By score, where there is one; then by likelihood, where it is whole."""

    def rank(one: Candidate) -> tuple[float, float]:
        likely = one.mean_log_probability if one.whole else -inf
        return scores.get(one.identity, -inf), likely

    return rank


def _answers(written: Sequence[Candidate]) -> list[Candidate]:
    """Those that answer the run's question, not what was written on the way to an answer."""
    return [one for one in written if one.asked or not one.question]
