import pytest

from forethought.contracts.errors import BudgetTooSmallError
from forethought.methods.prompt_compression.truncate import Truncate
from tests.methods.reference import prompt_of


def kept(method, length=20, protected=()):
    prompt = prompt_of(range(length), protected)
    return list(method.on_prompt(prompt, None, 16).tokens)


def test_head_and_tail_stay_and_the_middle_goes():
    assert kept(Truncate(keep=6)) == [0, 1, 2, 17, 18, 19]
    assert kept(Truncate(keep=6, head=1.0)) == [0, 1, 2, 3, 4, 5]
    assert kept(Truncate(keep=6, head=0.0)) == [14, 15, 16, 17, 18, 19]


def test_protected_tokens_stay_inside_the_budget():
    assert kept(Truncate(keep=6), protected={0, 10}) == [0, 1, 2, 10, 18, 19]


def test_a_budget_of_the_whole_prompt_changes_nothing():
    assert kept(Truncate(keep=20)) == list(range(20))


def test_a_budget_below_what_must_stay_is_refused():
    with pytest.raises(BudgetTooSmallError, match="but 3 must stay"):
        kept(Truncate(keep=2), protected={1, 2, 3})
