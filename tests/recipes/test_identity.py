from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.questions import Question
from forethought.recipes.identity import (
    question_hash,
    revisions,
    run_identifier,
    sample_key,
    sample_seed,
)
from forethought.recipes.recipe import Recipe

QUESTION = Question("q1", "2 + 2?", "a table", ("4",), "book", {"a": 1, "b": [2]})
CHANGES = [
    {"identifier": "q2"},
    {"text": "2 + 3?"},
    {"document": "a tabl"},
    {"answers": ("4", "")},
    {"cluster": ""},
    {"data": {"a": 1, "b": [3]}},
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_part_of_a_question_changes_its_hash_and_the_key(change: dict[str, object]) -> None:
    other = replace(QUESTION, **change)

    assert question_hash(other) != question_hash(QUESTION)
    assert sample_key("{}", "sums", other, 0) != sample_key("{}", "sums", QUESTION, 0)


def test_the_order_of_data_does_not_change_the_hash() -> None:
    assert question_hash(replace(QUESTION, data={"b": [2], "a": 1})) == question_hash(QUESTION)


def test_recipe_task_and_number_change_the_key() -> None:
    keys = {
        sample_key(recipe, task, QUESTION, number)
        for recipe in ("{}", '{"a":1}')
        for task in ("sums", "sums(n=2)")
        for number in (0, 1)
    }

    assert len(keys) == 8


def test_texts_that_run_together_give_other_keys_and_seeds() -> None:
    first, second = replace(QUESTION, identifier="bc"), replace(QUESTION, identifier="c")

    assert sample_key("r", "a", first, 0) != sample_key("r", "ab", second, 0)
    assert sample_seed("r", "a", "bc", 0) != sample_seed("r", "ab", "c", 0)
    assert sample_seed("r", 'a","b', "c", 0) != sample_seed("r", "a", 'b","c', 0)


def test_keys_and_seeds_stay_what_they_were() -> None:
    """Kept samples are found again by them: only a raised layout may change these."""
    assert sample_key("{}", "sums", QUESTION, 3).startswith("cad88dd08fe973e2")
    assert sample_seed("{}", "sums", "q1", 3) == 2142706824065709185


@given(st.text(), st.text(), st.integers(0, 1000))
def test_seeds_have_63_bits_and_repeat(task: str, identifier: str, number: int) -> None:
    seed = sample_seed("{}", task, identifier, number)

    assert 0 <= seed < 1 << 63
    assert seed == sample_seed("{}", task, identifier, number)
    assert seed != sample_seed("{}", task, identifier, number + 1)


def test_seeds_fill_their_range() -> None:
    seeds = [sample_seed("{}", "sums", str(i), 0) for i in range(2000)]

    assert len(set(seeds)) == 2000
    # The mean of 2000 uniform draws has a standard error of 0.65 % of the range.
    assert abs(sum(seeds) / 2000 / (1 << 63) - 0.5) < 0.03


def test_lone_surrogates_can_be_named() -> None:
    assert len(question_hash(replace(QUESTION, text="\ud800"))) == 64


def test_a_revised_method_changes_the_key_and_no_other_does() -> None:
    label = "m+draft(a/specpc)+specpc(keep=9)@best-of-n(n=2)@likelihood --seed=3"

    assert revisions(label) == "specpc 2"
    assert revisions("specpc+draft(a/specpc)+specpc-shallow(keep=9)+snapkv-of-others") == ""


def test_the_revision_of_a_confidence_method_is_part_of_a_samples_key() -> None:
    judged = Recipe(model="tiny", confidence=("agreement", "noisy-checker"))
    assert revisions(judged.label) == "noisy-checker 2"
    keys = {sample_key("{}", "sums", QUESTION, 0, revised) for revised in ("", "specpc 2")}
    assert len(keys) == 2


def test_a_run_of_a_revised_method_has_another_identifier(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(approximate=("specpc",))
    now = run_identifier(recipe, "Why?")

    monkeypatch.setattr("forethought.recipes.identity.revisions", lambda label: "")

    assert run_identifier(recipe, "Why?") != now
