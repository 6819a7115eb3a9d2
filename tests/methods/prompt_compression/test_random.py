from collections import Counter

import pytest

from forethought.contracts.errors import BudgetTooSmallError
from forethought.methods.prompt_compression.random import Random
from tests.methods.reference import prompt_of


def kept(method, length=20, protected=()):
    return list(method.on_prompt(prompt_of(range(length), protected), None, 16).tokens)


def test_a_draw_is_ascending_full_and_holds_what_must_stay():
    found = kept(Random(keep=7), protected={3, 11})

    assert len(found) == 7
    assert found == sorted(set(found))
    assert {3, 11} <= set(found)


def test_one_seed_gives_one_draw_and_a_smaller_budget_a_part_of_it():
    assert kept(Random(keep=7, seed=5)) == kept(Random(keep=7, seed=5))
    assert kept(Random(keep=7, seed=5)) != kept(Random(keep=7, seed=6))
    assert set(kept(Random(keep=4, seed=5))) < set(kept(Random(keep=7, seed=5)))


def test_every_token_is_drawn_equally_often():
    counts = Counter(token for seed in range(2000) for token in kept(Random(keep=5, seed=seed)))

    # 2000 draws of probability 1/4: 500 expected, and a standard deviation of 19.4.
    assert all(abs(counts[token] - 500) < 90 for token in range(20))


@pytest.mark.parametrize("keep", [20, 21, 1.0])
def test_a_budget_of_the_whole_prompt_changes_nothing(keep):
    prompt = prompt_of(range(20), {1})

    assert Random(keep=keep).on_prompt(prompt, None, 16) is prompt


def test_a_budget_below_what_must_stay_is_refused():
    with pytest.raises(BudgetTooSmallError, match="random keeps 2 tokens, but 3 must stay"):
        kept(Random(keep=2), protected={1, 2, 3})

    assert len(kept(Random(keep=2, protect=False), protected={1, 2, 3})) == 2
