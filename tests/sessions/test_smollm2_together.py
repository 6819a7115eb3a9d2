"""The default model, asked many things at once: the tokens of asking one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch import Answers, BatchQuestion
from tests.sessions.tiny_session import below_full_budget, runnable

PROSE = (Path(__file__).parents[2] / "LICENSE").read_text()


def asks(method: str, count: int) -> list[BatchQuestion]:
    recipe = Recipe(approximate=(method,) if method else (), max_tokens=6)
    return [
        BatchQuestion(recipe, "What is this text about?", PROSE[700 * n : 700 * n + 800 + 40 * n])
        for n in range(count)
    ]


def answers(model: Model, given: list[BatchQuestion]) -> list[str]:
    found = {a.place: a.run.answer for a in Answers(lambda *_: model).answer(given)}
    return [found[place] for place in range(len(given))]


@pytest.mark.parametrize("method", ["speckv(keep=90, window=8)"])
def test_prompts_asked_together_answer_as_alone(smollm2: Model, method: str) -> None:
    given = asks(method, 2)

    together = answers(smollm2, given)

    assert together == [answers(smollm2, [one])[0] for one in given]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["", *map(below_full_budget, runnable())])
def test_eight_prompts_together_answer_as_alone(smollm2: Model, method: str) -> None:
    given = asks(method, 8)

    together = answers(smollm2, given)

    assert together == [answers(smollm2, [one])[0] for one in given]
