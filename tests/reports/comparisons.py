"""Comparisons to show: a small one of round numbers, and a large one as a real run gives it."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from forethought.contracts.comparison import (
    AtBudget,
    Chances,
    Comparison,
    Difference,
    DrawnAnswers,
    EqualCost,
    Interval,
    RecipeResult,
    SubsampleCurve,
)

SMALL = Comparison(
    standings=(
        RecipeResult(
            recipe="smollm2",
            questions=40,
            score=Interval(0.9, 0.8, 0.975),
            tasks={"qa-1": Interval(0.95, 0.85, 1.0), "niah-single-1": Interval(0.85, 0.7, 0.95)},
            cache_bytes=8 * 2**20,
            first_token=2.0,
            flops=4e12,
            read=2000.0,
            frontier=frozenset({"cache_bytes", "first_token", "flops"}),
        ),
        RecipeResult(
            recipe="smollm2+snapkv(keep=512)",
            questions=40,
            score=Interval(0.875, 0.75, 0.95),
            tasks={"qa-1": Interval(0.9, 0.8, 1.0), "niah-single-1": Interval(0.85, 0.7, 0.95)},
            cache_bytes=2 * 2**20,
            first_token=2.1,
            flops=4.2e12,
            read=2000.0,
            frontier=frozenset({"cache_bytes"}),
        ),
        RecipeResult(
            recipe="smollm2+specpc(keep=512)",
            questions=40,
            score=Interval(0.7, 0.55, 0.825),
            tasks={"qa-1": Interval(0.8, 0.65, 0.9), "niah-single-1": Interval(0.6, 0.4, 0.75)},
            cache_bytes=2 * 2**20,
            first_token=0.6,
            flops=1e12,
            read=512.0,
            frontier=frozenset({"first_token", "flops"}),
        ),
    ),
    differences=tuple(
        Difference(*pair, Interval(*bounds), p_value, 40, wins, losses, detectable)
        for pair, bounds, p_value, wins, losses, detectable in (
            (("smollm2", "smollm2+snapkv(keep=512)"), (0.025, -0.02, 0.075), 0.5, 2, 1, 0.07),
            (("smollm2", "smollm2+specpc(keep=512)"), (0.2, 0.1, 0.3), 0.002, 9, 1, 0.14),
            (("smollm2+snapkv(keep=512)", "smollm2"), (-0.025, -0.075, 0.02), 0.5, 1, 2, 0.07),
            (
                ("smollm2+snapkv(keep=512)", "smollm2+specpc(keep=512)"),
                (0.175, 0.07, 0.28),
                0.006,
                8,
                1,
                0.15,
            ),
            (("smollm2+specpc(keep=512)", "smollm2"), (-0.2, -0.3, -0.1), 0.002, 1, 9, 0.14),
            (
                ("smollm2+specpc(keep=512)", "smollm2+snapkv(keep=512)"),
                (-0.175, -0.28, -0.07),
                0.006,
                1,
                8,
                0.15,
            ),
        )
    ),
    tasks=("qa-1", "niah-single-1"),
    questions=40,
    provenance={"forethought": "0.1.0", "processor": "A <fast> one"},
)

TASKS = (
    *(f"niah-single-{n}" for n in (1, 2, 3)),
    *(f"niah-multikey-{n}" for n in (1, 2, 3)),
    "niah-multivalue",
    "niah-multiquery",
    "variable-tracking",
    "common-words",
    "frequent-words",
    "qa-1",
    "qa-2",
)
_QUALITY = {"snapkv": 0.2, "speckv": 0.14, "h2o": 0.38, "specpc": 0.24, "streaming-llm": 0.62}
_KEEPS = (256, 512, 1024)
_PROMPT = 4000


def large() -> Comparison:
    """Sixteen recipes on the thirteen tasks of RULER: thirty questions each, from one seed."""
    chance = random.Random(3)
    recipes = ["qwen-coder-1.5b"] + [
        f"qwen-coder-1.5b+draft(smollm2)+{method}(keep={keep})"
        for method in _QUALITY
        for keep in _KEEPS
    ]
    difficulty = [chance.gauss(0, 0.6) for _ in TASKS for _ in range(30)]
    answers = {recipe: _answers(recipe, difficulty, chance) for recipe in recipes}
    standings = [_standing(recipe, answers[recipe], chance) for recipe in recipes]
    return Comparison(
        standings=tuple(_with_frontier(one, standings) for one in standings),
        differences=tuple(
            _difference(one, other, answers) for one in recipes for other in recipes if one != other
        ),
        tasks=tuple(f"{task}(tokens=4000, count=30)" for task in TASKS),
        questions=30 * len(TASKS),
        provenance={
            "forethought": "0.1.0",
            "torch": "2.13.0",
            "python": "3.11.9",
            "processor": "AMD EPYC 9B14",
            "threads": "2",
            "seed": "0",
            "command": "forethought compare ruler -r 'snapkv(keep=512)' …",
        },
    )


def _keep(recipe: str) -> int:
    return int(recipe.partition("keep=")[2].rstrip(")") or _PROMPT)


def _method(recipe: str) -> str:
    return recipe.rpartition("+")[2].partition("(")[0] if "keep" in recipe else ""


def _answers(recipe: str, difficulty: list[float], chance: random.Random) -> list[float]:
    keep = _keep(recipe)
    loss = _QUALITY.get(_method(recipe), 0.0) * (math.log2(_PROMPT / keep) / 4) ** 1.3 * 4
    return [float(1.6 - loss + hard + chance.gauss(0, 0.35) > 0.4) for hard in difficulty]


def _interval(values: list[float]) -> Interval:
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)
    half = 1.96 * math.sqrt(spread / len(values)) + 0.5 / len(values)
    return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))


def _standing(recipe: str, answers: list[float], chance: random.Random) -> RecipeResult:
    keep, method = _keep(recipe), _method(recipe)
    read = keep if method == "specpc" else _PROMPT
    draft = 0.3 if method.startswith("spec") else 0.0
    return RecipeResult(
        recipe=recipe,
        questions=len(answers),
        score=_interval(answers),
        tasks={
            f"{task}(tokens=4000, count=30)": _interval(answers[30 * at : 30 * at + 30])
            for at, task in enumerate(TASKS)
        },
        cache_bytes=28672.0 * keep * (1 + chance.uniform(0, 0.06)),
        first_token=6.2 * (read / _PROMPT + draft) * chance.uniform(0.97, 1.06),
        flops=1.3e13 * (read / _PROMPT + draft * 0.4) * chance.uniform(1.0, 1.02),
        read=float(read),
    )


def _with_frontier(one: RecipeResult, standings: list[RecipeResult]) -> RecipeResult:
    def leads(axis: str) -> bool:
        return not any(
            other.score.value >= one.score.value and getattr(other, axis) < getattr(one, axis)
            for other in standings
        )

    on = frozenset(axis for axis in ("cache_bytes", "first_token", "flops") if leads(axis))
    return RecipeResult(**{**vars(one), "frontier": on})


def _difference(one: str, other: str, answers: dict[str, list[float]]) -> Difference:
    pairs = [a - b for a, b in zip(answers[one], answers[other], strict=True)]
    mean = sum(pairs) / len(pairs)
    error = math.sqrt(sum((pair - mean) ** 2 for pair in pairs) / len(pairs) ** 2) or 1e-9
    return Difference(
        recipe=one,
        against=other,
        interval=Interval(mean, mean - 1.96 * error, mean + 1.96 * error),
        p_value=math.erfc(abs(mean) / error / math.sqrt(2)),
        questions=len(pairs),
        wins=sum(pair > 0 for pair in pairs),
        losses=sum(pair < 0 for pair in pairs),
        detectable=2.8 * error,
    )


BEST = "smollm2@best-of-n(n=4)@self-judge"
VOTE = "smollm2@majority-vote(n=4)"
_FIRST, _SECOND, _THIRD = SMALL.standings
SEARCHES = replace(
    SMALL,
    standings=(
        replace(_FIRST, score=Interval(0.3, 0.2, 0.4), tokens=110.0, flops=1e9,
                frontier=frozenset({"tokens", "flops"})),
        replace(_SECOND, recipe=BEST, score=Interval(0.7, 0.6, 0.8), tokens=300.0, flops=9e9,
                cache_bytes=_FIRST.cache_bytes, frontier=frozenset({"tokens"}),
                chances=Chances(0.25, 0.85, 0.05),
                drawn=DrawnAnswers(4.0, 0, 12.0, 30.0, 41.25),
                fewer=(SubsampleCurve(1, 0.25, 150.0, 2e9), SubsampleCurve(2, 0.5, 200.0, 5e9))),
        replace(_THIRD, recipe=VOTE, score=Interval(0.45, 0.3, 0.6), tokens=140.0, flops=3e9,
                cache_bytes=_FIRST.cache_bytes, frontier=frozenset({"flops"}), counted_from=BEST,
                chances=Chances(0.25, 0.85, 0.05),
                drawn=DrawnAnswers(3.0, 4, 12.0, 30.0, math.nan),
                fewer=(SubsampleCurve(1, 0.25, 110.0, 1e9),)),
    ),
    differences=(
        Difference(BEST, "smollm2", Interval(0.4, 0.2, 0.6), 0.01, 40, 20, 4, 0.1),
        Difference(VOTE, "smollm2", Interval(0.15, 0.05, 0.25), 0.03, 40, 9, 3, 0.1),
    ),
    equal=(
        EqualCost(110.0, (AtBudget("smollm2", 1, 0.3, 110.0), AtBudget(BEST, 0, None, 0.0),
                          AtBudget(VOTE, 1, 0.25, 110.0))),
        EqualCost(300.0, (AtBudget("smollm2", 1, 0.3, 110.0), AtBudget(BEST, 4, 0.7, 300.0),
                          AtBudget(VOTE, 4, 0.45, 140.0))),
    ),
)  # fmt: skip
"""Two searches beside the exact run; nothing was asked for the vote."""
