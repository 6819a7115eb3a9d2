"""Many recipes and questions at once give what each gives alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.contracts.errors import UsageError
from forethought.engine.cache.packing import PackedTensor
from forethought.engine.cache.sequence_cache import segments_of
from forethought.prefill import prepare
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch import Answers, BatchQuestion
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import (
    DOCUMENT,
    DRAFTS,
    QUESTION,
    TARGET,
    below_full_budget,
    drafted,
    runnable,
    session,
)

MODELS = {"target": TARGET, **DRAFTS}
EXACT = Recipe(model="target", max_tokens=12)
RECIPES = [
    EXACT,
    *(
        replace(EXACT, draft=draft, approximate=(below_full_budget(name),))
        for name, draft in drafted()
    ),
]


def answers():
    return Answers(lambda name, weights: MODELS[name], clock=iter(range(10**9)).__next__)


def runs_of(asks):
    found = {answered.place: answered.run for answered in answers().answer(asks)}
    return [found[place] for place in range(len(asks))]


@pytest.fixture(scope="module")
def together():
    found = runs_of([BatchQuestion(recipe, QUESTION, DOCUMENT) for recipe in RECIPES])
    return dict(zip(RECIPES, found, strict=True))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.spelling)
def test_a_shared_reading_gives_what_the_recipe_gives_alone(recipe, together):
    alone = session(recipe.draft, approximate=recipe.approximate)
    *_, done = alone.stream(QUESTION, DOCUMENT)

    expected, found = done.data["run"], together[recipe].document()

    for name in ("answer", "recipe", "finish", "kept", "notes", "run"):
        assert found[name] == expected[name], name
    for name in ("prompt_tokens", "output_tokens", "draft_tokens", "scoring_tokens"):
        assert found["cost"][name] == expected["cost"][name], name
    assert found["cost"]["flops"] == pytest.approx(expected["cost"]["flops"], rel=1e-3)
    assert found["exact"] == expected["exact"]


@pytest.mark.parametrize("name", fast_each(3, ["", *runnable()]))
def test_four_prompts_together_give_what_each_gives_alone(name):
    recipe = replace(EXACT, approximate=(below_full_budget(name),) if name else ())
    asks = [
        BatchQuestion(recipe, f"What is the code of locker {n}?", DOCUMENT[: 400 + 30 * n])
        for n in range(1, 8, 2)
    ]

    together = runs_of(asks)

    for ask, found in zip(asks, together, strict=True):
        (alone,) = runs_of([ask])
        assert found.answer == alone.answer
        assert found.kept == alone.kept


def test_a_wide_window_of_a_look_ahead_is_seen_whole():
    method = "speckv(keep=360, window=320, protect=false)"

    (found,) = runs_of([BatchQuestion(replace(EXACT, approximate=(method,)), QUESTION, DOCUMENT)])

    *_, done = session(approximate=(method,)).stream(QUESTION, DOCUMENT)
    assert found.kept.positions == done.data["run"]["kept"]["positions"]
    assert found.kept.shares == done.data["run"]["kept"]["shares"]


def test_an_answer_comes_as_soon_as_it_is_whole():
    asks = [BatchQuestion(replace(EXACT, max_tokens=n), QUESTION, DOCUMENT) for n in (9, 3, 6)]

    assert [answered.place for answered in answers().answer(asks)] == [1, 2, 0]


def test_a_prompt_is_read_once_for_all_that_only_drop_entries():
    model, read = answers(), []
    names = ["snapkv(keep=100)", "snapkv(keep=120)", "streaming-llm(keep=100)", "h2o(keep=160)"]
    network, forward = TARGET.network, TARGET.network.forward

    def counting(tokens, *args, **settings):
        read.append(len(tokens))
        return forward(tokens, *args, **settings)

    network.forward = counting
    try:
        list(
            model.answer(
                [BatchQuestion(replace(EXACT, approximate=(n,)), QUESTION, DOCUMENT) for n in names]
            )
        )
    finally:
        del network.forward

    assert sum(tokens > len(names) for tokens in read) == 1


def test_a_draft_reads_once_for_all_budgets():
    asks = [
        BatchQuestion(
            replace(EXACT, draft="same-tokens", approximate=(f"speckv(keep={keep})",)),
            QUESTION,
            DOCUMENT,
        )
        for keep in (100, 120, 140)
    ]
    read, network = [], DRAFTS["same-tokens"].network
    forward = network.forward

    def counting(tokens, *args, **settings):
        read.append(len(tokens))
        return forward(tokens, *args, **settings)

    network.forward = counting
    try:
        found = runs_of(asks)
    finally:
        del network.forward

    assert sum(tokens > 1 for tokens in read) == 1
    assert len({run.cost.draft_tokens for run in found}) == 1
    assert found[0].cost.draft_tokens > len(found[0].kept.positions)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"samples": 2}, "one sample for each question"),
        ({"budget": "1GFLOP"}, "one sample for each question"),
        ({"budget": "2s"}, "a time limit does not apply"),
        ({"budget": "2s", "search": "majority-vote"}, "a time limit does not apply"),
        ({"budget": "$1", "search": "majority-vote"}, "has no price"),
        ({"approximate": ("auto",)}, "auto chooses methods for one prompt"),
    ],
)
def test_what_cannot_be_asked_together_is_refused_before_a_model_is_loaded(settings, said):
    asks = [BatchQuestion(replace(EXACT, **settings), QUESTION, DOCUMENT)]

    def load(name, weights):
        raise AssertionError("loaded")

    with Answers(load) as answers:
        with pytest.raises(UsageError, match=said):
            answers.settled(asks[0].recipe)
        with pytest.raises(UsageError, match=said):
            list(answers.answer(asks))


@pytest.mark.parametrize("name", fast_each(3, ["", *runnable()]))
def test_the_bytes_reported_are_those_of_the_storages_held(name, monkeypatch):
    results = []

    def keeping(read):
        def kept(*given):
            found = read(*given)
            rows = [one.cache for one in (found if isinstance(found, list) else [found])]
            results.extend(map(held_bytes, rows))
            return found

        return kept

    monkeypatch.setattr(prepare, "prefill", keeping(prepare.prefill))
    monkeypatch.setattr(prepare, "prefill_together", keeping(prepare.prefill_together))
    recipe = replace(EXACT, max_tokens=1, approximate=(below_full_budget(name),) if name else ())
    asks = [BatchQuestion(replace(recipe, max_tokens=n), QUESTION, DOCUMENT) for n in (1, 2)]

    (alone,) = runs_of(asks[:1])
    found = runs_of(asks)

    assert len(results) == 3
    for run, result in zip([alone, *found], results, strict=True):
        assert run.kept.cache_bytes == result


def held_bytes(row):
    """Every storage behind a row's keys and values, each once."""
    held = [
        part.untyped_storage()
        for segment in segments_of(row)
        for layer in segment.layers
        for block in (found.block for found in layer.parts())
        for kept in (block._keys, block._values)
        for part in (kept.tensors() if isinstance(kept, PackedTensor) else [kept])
        if kept is not None
    ]
    return sum({storage.data_ptr(): storage.nbytes() for storage in held}.values())


def test_one_search_asked_for_twice_is_done_once_and_told_twice():
    ask = BatchQuestion(
        replace(EXACT, search="majority-vote(n=2)", max_tokens=4), QUESTION, DOCUMENT
    )
    first, second = runs_of([ask, ask])

    assert first == second
