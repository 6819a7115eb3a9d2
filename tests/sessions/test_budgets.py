"""What runs cost, what they may cost, and drafts that cannot pay."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from forethought import catalogue
from forethought.contracts.errors import BudgetTooSmallError
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET, run
from tests.tiny_model import tiny_model, tiny_tokenizer


def test_a_token_budget_ends_a_run_and_says_so():
    found = run(budget="5tok")

    assert found["cost"]["output_tokens"] == 5
    assert found["finish"] == "budget"
    assert run(budget="500tok")["finish"] == "length"


def test_a_token_budget_is_shared_by_all_samples():
    found = run(samples=3, temperature=1.0, budget="9tok")

    assert found["cost"]["output_tokens"] <= 9
    assert [candidate["tokens"] for candidate in found["candidates"]] == [3, 3, 3]
    assert found["finish"] == "budget"


def test_a_time_budget_ends_a_run():
    # The clock of these tests ticks once a look: a few looks for each token.
    assert run(budget="40s", max_tokens=500)["finish"] == "budget"


def test_a_draft_that_costs_more_than_it_saves_is_skipped_and_said():
    found = run("same-tokens", approximate=("specpc-shallow(keep=0.97, last_layer=2)",))

    assert found["cost"]["draft_tokens"] == 0
    assert any("cost more prefill FLOPs than it saves" in note for note in found["notes"])


@pytest.mark.parametrize("settings", [{"samples": 3, "temperature": 1.0}, {"stop": ("e",)}, {}])
def test_a_run_without_approximation_costs_what_the_exact_run_costs(settings):
    found = run(max_tokens=40, **settings)

    assert found["cost"]["flops"] == pytest.approx(found["exact"]["flops"], rel=1e-12)


def test_an_answer_that_the_model_ends_costs_what_the_exact_run_costs():
    likely = run(max_tokens=1)
    end = TARGET.tokenizer.encode(likely["answer"])[0] if likely["answer"] else None
    assert end is not None
    ending = replace(TARGET, tokenizer=tiny_tokenizer())
    ending.tokenizer.ends = frozenset([end])
    recipe = Recipe(model="target", max_tokens=12)

    *_, done = Session(recipe, (), ending, ending).stream(QUESTION, DOCUMENT)

    found = done.data["run"]
    assert found["finish"] == "stop"
    assert found["cost"]["flops"] == pytest.approx(found["exact"]["flops"], rel=1e-12)


def test_a_guess_obeys_the_token_budget():
    found = run("same-tokens", approximate=("speckv(keep=200)",), budget="5tok", max_tokens=100)

    assert found["cost"]["output_tokens"] == 5
    assert found["cost"]["draft_tokens"] <= found["kept"]["of"] + 5


def test_a_budget_that_reading_would_break_ends_the_run_before_it():
    found = run(budget="1kFLOP")

    assert (found["finish"], found["answer"], found["cost"]["flops"]) == ("budget", "", 0.0)
    assert "more than the budget" in found["notes"][0]


def test_a_time_budget_that_the_draft_spent_ends_the_run_before_the_target_reads():
    # The clock goes on by one whenever somebody looks at it.
    method = ("specpc-shallow(keep=120)",)
    ended = [run("same-tokens", approximate=method, budget=f"{n}s") for n in range(1, 12)]

    drafted = [one for one in ended if one["cost"]["draft_tokens"] > 0]
    unread = [one for one in drafted if one["cost"]["prompt_tokens"] == 0]
    assert unread
    assert {(one["finish"], one["answer"]) for one in unread} == {("budget", "")}


def test_all_answers_of_a_shared_budget_end_by_it():
    found = run(samples=3, temperature=1.0, budget="9tok")

    assert {candidate["finish"] for candidate in found["candidates"]} == {"budget"}


@pytest.mark.parametrize("settings", ["last_layer=3", "lookahead=4"])
def test_a_draft_is_weighed_with_the_layers_it_runs(settings):
    # All three layers of the target's own network over the prompt cost what they would save.
    found = run(approximate=(f"specpc-shallow(keep=200, {settings})",))

    assert any("cost more prefill FLOPs than it saves" in note for note in found["notes"])


def test_a_draft_is_not_skipped_where_there_would_be_no_answer_without_it():
    narrow = tiny_model("narrow", seed=1, max_position_embeddings=300)
    deep = tiny_model("deep", seed=2, num_hidden_layers=9)
    recipe = Recipe(
        model="narrow", draft="deep", max_tokens=4, approximate=("specpc-shallow(keep=250)",)
    )
    built = tuple((name, catalogue.build(name)) for name in recipe.approximate)

    *_, done = Session(recipe, built, narrow, deep).stream(QUESTION, DOCUMENT)

    assert done.data["run"]["kept"]["prompt_tokens"] == 250


def test_an_interrupted_reading_counts_no_tokens_it_did_not_read(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("forethought.engine.batch.Batch.forward", interrupted)

    found = run("same-tokens", approximate=("specpc-shallow(keep=120)",))

    assert found["finish"] == "interrupted"
    assert found["cost"]["draft_tokens"] == found["cost"]["prompt_tokens"] == 0


def test_the_time_of_a_token_is_that_of_a_step():
    found = run(max_tokens=5)

    assert found["timing"]["per_token"] == pytest.approx(found["timing"]["stages"]["decode"] / 4)
    assert run(max_tokens=1)["timing"]["per_token"] == 0


@pytest.mark.parametrize(
    "method",
    ["specpc-shallow", "bm25", "gem-filter", "snapkv", "ada-snapkv", "pyramidkv", "speckv", "laq"],
)
def test_a_budget_that_is_too_small_is_told_the_least_that_works(method):
    with pytest.raises(BudgetTooSmallError) as caught:
        run("same-tokens", approximate=(f"{method}(keep=9)",))
    found = re.search(r"keep (\d+) or more", caught.value.hint)
    assert found
    least = int(found[1])

    run("same-tokens", approximate=(f"{method}(keep={least})",))
    with pytest.raises(BudgetTooSmallError):
        run("same-tokens", approximate=(f"{method}(keep={least - 1})",))
