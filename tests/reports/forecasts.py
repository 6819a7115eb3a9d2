"""A forecast of round numbers to show."""

from __future__ import annotations

from forethought.contracts.comparison import Interval
from forethought.contracts.forecast import (
    Ahead,
    Attempts,
    Curve,
    Difficulty,
    Economics,
    Forecast,
    ForecastBin,
    Further,
    Law,
    Reached,
    Rival,
)


def around(value: float) -> Interval:
    """A value with its bounds a twentieth away."""
    return Interval(value, max(0.0, value - 0.05), min(1.0, value + 0.05))


def reached(answers: int, oracle: float, vote: float, scored: float) -> Reached:
    """So many answers, of 10 tokens each behind a prompt of 100."""
    return Reached(
        answers=answers,
        oracle=around(oracle),
        vote=around(vote),
        likely=around(0.4),
        scored=around(scored),
        tokens=100 + 10.0 * answers,
        flops=1e9 * answers,
        scoring_tokens=50.0 * answers,
        scoring_flops=5e9 * answers,
    )


CURVE = Curve(
    recipe="smollm2@best-of-n(n=4)@self-judge",
    task="addition(digits=2)",
    questions=40,
    answers=4,
    random=around(0.3),
    reached=(reached(1, 0.3, 0.3, 0.3), reached(2, 0.5, 0.3, 0.4), reached(4, 0.7, 0.6, 0.5)),
    scorer="self-judge",
    law=Law(
        -1.2, -0.5, 0.012, (Ahead(8, around(0.8), 180.0, 8e9), Ahead(40, around(0.9), 500, 4e10))
    ),
    further=(
        Further(8, around(0.8), around(0.65), False, 180.0, 8e9),
        Further(40, around(0.9), around(0.7), True, 500.0, 4e10),
    ),
    surprise=0.4,
    attempts=Attempts(0.05, 2.0, 3, 0.412, 0.5, 0.04, 2.5, 0.2),
)
DIFFICULTY = Difficulty(
    task="addition(digits=2)",
    sorted_by="smollm2@best-of-n(n=4)@self-judge",
    bins=(
        ForecastBin(1, 20, 0.8, "smollm2", 0.9),
        ForecastBin(2, 20, 0.1, "smollm2@majority-vote", 0.3),
    ),
    recipes=("smollm2", "smollm2@majority-vote"),
    fixed="smollm2",
    fixed_score=0.55,
    adapted=0.58,
)
ECONOMICS = Economics(
    cheaper="smollm2@majority-vote",
    dearer="qwen-coder-1.5b",
    task="addition(digits=2)",
    questions=40,
    score=around(0.6),
    flops=1e10,
    rivals=(
        Rival(1, around(0.3), 0.01, around(0.3), 0.01, 1e9, False),
        Rival(8, around(0.5), 0.2, around(0.8), 0.97, 8e9, False),
        Rival(32, around(0.55), 0.3, around(0.9), 0.99, 3.2e10, True),
    ),
)
FORECAST = Forecast(
    curves=(CURVE,),
    difficulties=(DIFFICULTY,),
    economics=(ECONOMICS,),
    notes=("a <note> of what was left out",),
    provenance={"command": "forethought forecast -t '<x>'"},
)
