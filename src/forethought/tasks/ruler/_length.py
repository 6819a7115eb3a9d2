"""Length fitting of questions, with randomness independent of the length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from forethought.contracts.errors import BadParameterError
from forethought.contracts.questions import Measure, Question

_GOLDEN = 0.6180339887498949
"""Golden ratio conjugate: its multiples modulo 1 are evenly spread for any count."""


def dice(task: str, seed: int, number: int) -> Random:
    """The generator of one question, independent of the number of questions and their length."""
    return Random(f"{task} {seed} {number}")


def depths(task: str, seed: int, number: int, count: int) -> list[float]:
    """Depths of `count` needles, from 0 to 1: evenly spaced, with an offset per question."""
    start = Random(f"{task} {seed}").random() + number * _GOLDEN
    return [(start + needle / count) % 1 for needle in range(count)]


def placed(units: Sequence[str], needles: Sequence[str], at: Sequence[float]) -> list[str]:
    """Insert each needle at its depth."""
    found = list(units)
    for depth, needle in sorted(zip(at, needles, strict=True), reverse=True):
        found.insert(round(depth * len(units)), needle)
    return found


def fitted(made: Callable[[int], Question], tokens: int, measure: Measure, least: int) -> Question:
    """The longest question of `made`, of at least `least` units, within `tokens`."""

    def length(count: int) -> int:
        question = made(count)
        return measure(f"{question.document}\n\n{question.text}")

    low, low_length = least, length(least)
    if low_length > tokens:
        raise BadParameterError(
            f"tokens={tokens} is too few: the shortest question has {low_length}",
            f"give tokens={low_length} or more",
        )
    high, high_length, step = 0, 0, 0
    while high == 0 or high - low > 1:
        step += 1
        if high == 0:
            guess = max(low + 1, min(2 * low + 8, round(low * tokens / max(1, low_length)) + 2))
        elif step % 3 == 0:
            guess = (low + high) // 2
        else:
            slope = (high - low) / max(1, high_length - low_length)
            guess = min(high - 1, max(low + 1, low + int((tokens - low_length) * slope)))
        if (guess_length := length(guess)) <= tokens:
            low, low_length = guess, guess_length
        else:
            high, high_length = guess, guess_length
    return made(low)
