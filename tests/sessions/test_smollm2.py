"""The default model on a real document: needles found with a part of the prompt read."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forethought import catalogue
from forethought.backends.local.local import LocalBackend
from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate, Found, Search, Strategy, write
from forethought.driver.driver import Driver
from forethought.driver.job import Job
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
from forethought.tasks.same_answers import SameAnswers
from tests.driver.searches import Kept
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import at_full_budget, runnable

PROSE = (Path(__file__).parents[2] / "LICENSE").read_text()
NEEDLE = "The secret number of the lighthouse is 70421."
QUESTION = "What is the secret number of the lighthouse?"


def document(characters: int = 4000, depth: float = 0.4) -> str:
    text = PROSE[:characters]
    place = text.find("\n\n", int(depth * characters))
    return f"{text[:place]}\n\n{NEEDLE}{text[place:]}"


def run(model: Model, *methods: str, text: str = "", **settings: Any) -> dict[str, Any]:
    recipe = Recipe(approximate=methods, **{"max_tokens": 24, **settings})
    built = tuple((name, catalogue.build(name)) for name in recipe.approximate)
    *_, done = Session(recipe, built, model, model).stream(QUESTION, text or document())
    found: dict[str, Any] = done.data["run"]
    return found


@pytest.mark.parametrize("depth", [pytest.param(0.2, marks=pytest.mark.slow), 0.7])
def test_the_exact_run_and_a_third_of_the_prompt_find_the_needle(
    smollm2: Model, depth: float
) -> None:
    exact = run(smollm2, text=document(depth=depth))
    compressed = run(smollm2, "specpc-shallow(keep=0.33)", text=document(depth=depth))

    assert "70421" in exact["answer"]
    assert "70421" in compressed["answer"]
    assert compressed["kept"]["prompt_tokens"] < exact["kept"]["prompt_tokens"] / 2.9
    assert compressed["cost"]["flops"] < exact["cost"]["flops"]
    assert compressed["cost"]["draft_tokens"] == exact["kept"]["of"]


def test_truncation_loses_the_needle_that_the_draft_keeps(smollm2: Model) -> None:
    assert "70421" not in run(smollm2, "truncate(keep=0.33)")["answer"]


@pytest.fixture(scope="module")
def exact_answer(smollm2: Model) -> str:
    return str(run(smollm2, text=document(600), max_tokens=8)["answer"])


@pytest.mark.parametrize("name", fast_each(4, runnable()))
def test_off_values_are_exact_on_the_real_model(
    smollm2: Model, name: str, exact_answer: str
) -> None:
    found = run(smollm2, at_full_budget(name), text=document(600), max_tokens=8)

    assert found["answer"] == exact_answer


def test_an_evicted_cache_is_as_small_as_it_says(smollm2: Model) -> None:
    found = run(smollm2, "snapkv(keep=128)", max_tokens=2)

    assert found["kept"]["cache_bytes"] < found["exact"]["cache_bytes"] / 6
    assert max(found["kept"]["positions"]) == found["kept"]["of"] - 1


@pytest.mark.slow  # equal to the last bit, which kernels of other processors need not be
@pytest.mark.parametrize("seed", [1, 2])
def test_samples_do_not_depend_on_how_many_are_drawn(smollm2: Model, seed: int) -> None:
    few, more, many = (
        run(smollm2, text="Rivers.", samples=n, temperature=1.0, seed=seed, max_tokens=48)
        for n in (2, 3, 6)
    )

    texts = [[c["text"] for c in found["candidates"]] for found in (few, more, many)]
    assert texts[0] == texts[1][:2] == texts[2][:2]
    assert texts[1] == texts[2][:3]


@pytest.fixture(params=["compiled", "torch"])
def attention(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Attention of decode steps: by the compiled kernels where there are some, or by torch.

    The kernels round alike wherever segments begin; torch does not.
    """
    if request.param == "torch":
        monkeypatch.setattr("forethought.engine.batch_attention.kernels_for", lambda *given: None)
    return str(request.param)


@pytest.mark.parametrize(
    ("search", "scorer", "settings"),
    fast_each(
        3,
        [
            ("greedy", "", {}),
            ("majority-vote(n=1)", "", {"temperature": 0.8, "seed": 3}),
            ("best-of-n(n=1)", "likelihood", {"temperature": 0.8, "seed": 5}),
            ("majority-vote(n=3)", "", {"temperature": 0.8, "seed": 3}),
            ("particle-filter(n=1)", "likelihood", {"temperature": 0.8, "seed": 4}),
            ("beam(n=1, width=1)", "likelihood", {"temperature": 0.8, "seed": 6}),
        ],
    ),
)
def test_the_first_candidate_is_the_plain_answer_to_the_last_bit(
    smollm2: Model, attention: str, search: str, scorer: str, settings: dict[str, Any]
) -> None:
    asked = {"max_tokens": 20, **settings}
    plain = ask(smollm2, confidence=("likelihood",), **asked)
    found = ask(smollm2, search=search, scorer=scorer, **asked)

    first = found["candidates"][0]
    assert first["text"] == plain["answer"]
    likelihood = math.exp(first["log_probability"] / first["summed"])
    assert plain["confidence"]["raw"] == pytest.approx(likelihood, rel=1e-12)
    assert plain["cost"]["output_tokens"] > 12


def test_the_first_of_several_answers_is_the_one_alone(smollm2: Model, attention: str) -> None:
    asked = {"max_tokens": 40, "temperature": 0.8, "seed": 3}
    several = ask(smollm2, samples=3, **asked)
    assert several["candidates"][0]["text"] == ask(smollm2, **asked)["answer"]


class Twice(Strategy):
    """Steps of eight tokens: two children of the start, two of each of them, then to the end."""

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        first = yield from write([start] * 2, max_tokens=8)
        second = yield from write([one for one in first for _ in range(2)], max_tokens=8)
        ends = yield from write(second)
        return Found(ends[0], tuple(ends))


def test_what_is_read_again_goes_on_to_the_last_bit_as_if_it_had_never_been_gone(
    smollm2: Model,
) -> None:
    def texts(journal: Kept) -> list[str]:
        recipe = Recipe(temperature=0.8, max_tokens=40)
        backend = LocalBackend(recipe, smollm2, smollm2, itertools.count().__next__)
        job = Job("run", Question("q", PUZZLE, ""), Twice(), SameAnswers(), None, max_tokens=40)
        (done,) = Driver(backend, journal).run([job])
        assert done.found is not None
        return [one.text for one in done.found.considered]

    whole = Kept()
    found = texts(whole)
    steps = {key: one for key, one in whole.outcomes.items() if one.piece.tokens == 8}
    assert len(steps) == 6
    assert len(set(found)) > 2
    assert texts(Kept(steps)) == found


def ask(model: Model, **settings: Any) -> dict[str, Any]:
    *_, done = Session(Recipe(**settings), (), model, model).stream(PUZZLE, "")
    found: dict[str, Any] = done.data["run"]
    return found


PUZZLE = (
    "A shop sells pens at 3 for 2 dollars. Ada buys 12 pens and pays with 20 dollars. Her change?"
)
