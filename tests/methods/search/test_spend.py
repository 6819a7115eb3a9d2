"""The spending rule: decisions by expected net value, through the real driver."""

from __future__ import annotations

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.errors import BadParameterError
from forethought.driver.driver import Driver
from forethought.driver.job import Decided
from forethought.methods.search.spend import Spend
from tests.driver.searches import Rule, coin, job, searched


def chosen(found):
    return [one.chosen.action for one in found.settlement.decisions]


def test_one_answer_that_is_worth_nothing_is_not_drawn():
    done = searched(Spend(value="2x"), coin())
    assert chosen(done.found) == ["abstain"]
    assert done.cost.flops == done.written == 0
    assert done.found.settlement.abstained


def test_a_dearer_right_answer_buys_more_answers():
    drawn = [searched(Spend(value=f"{x}x", length=3), coin(0.6)).written for x in (8, 60, 2000)]
    assert drawn[0] < drawn[1] <= drawn[2]
    assert drawn[0] >= 1


def test_agreeing_answers_end_the_search():
    done = searched(Spend(value="200x", length=3), coin(1.0))
    assert 2 <= done.written <= 6
    assert chosen(done.found)[-1] == "stop"
    assert done.found.confidence == 1


def test_decisions_are_events_with_their_beliefs():
    driver = Driver(KnownBackend(coin(0.6)))
    events = list(driver.events([job(Spend(value="60x", length=3))]))
    told = [one.decision for one in events if isinstance(one, Decided)]
    assert tuple(told) == events[-1].found.settlement.decisions
    for count, one in enumerate(told):
        assert one.after == count
        assert one.chosen == max(one.alternatives, key=lambda other: other.net)
        assert one.spent == pytest.approx(3e-6 * count)  # a millionth of a dollar a token
        assert one.value == pytest.approx(60 * 3e-6)
    low, high = (
        told[-1].belief["success"]["target"]["low"],
        told[-1].belief["success"]["target"]["high"],
    )
    assert 0 <= low < high <= 1


def test_a_cheap_draft_is_asked_first_and_the_target_when_it_disagrees_with_itself():
    def short(question, text):
        return {"c": 0.4, "d": 0.3, "e": 0.3} if not text else {END: 1.0}

    backend = KnownBackend(coin(0.99), drafted=short)
    rule = Spend(value="8x", draft=True, success=0.9, draft_success=0.7, length=3)
    done = searched(rule, backend=backend)
    writers = [one.writer for one in done.found.considered]
    assert writers[0] == "draft"
    assert "target" in writers
    assert "switch" in chosen(done.found)
    assert done.found.best.writer == "target"


def test_a_verifier_ends_the_search_at_the_first_accepted_answer():
    rule = Spend(value="100x", verified=True, length=3)
    done = searched(rule, coin(0.3), scorer=Rule(lambda text: float(text[:1] == "a")))
    assert done.found.best.text == "aaa"
    assert [one.text[:1] for one in done.found.considered].count("a") == 1


def test_a_verifier_that_accepts_nothing_ends_without_an_answer():
    done = searched(
        Spend(value="60x", verified=True, length=3), coin(), scorer=Rule(lambda text: 0.0)
    )
    assert done.found.settlement.abstained == "no answer was accepted"
    assert 1 < done.written < 32


def test_a_penalty_makes_it_abstain():
    law = {letter: 1 / 20 for letter in "abcdefghijklmnopqrst"}
    done = searched(
        Spend(value="30x", penalty=5.0, length=1), lambda q, t: {END: 1.0} if t else law
    )
    assert chosen(done.found)[-1] == "abstain"
    assert "not calibrated" in done.found.settlement.abstained or not done.written


@pytest.mark.parametrize("value", ["", "x", "-1x", "3s", "nanx", "1tok,$1", "infx"])
def test_values_that_are_none(value):
    with pytest.raises(BadParameterError, match="is no value"):
        Spend(value=value)


@pytest.mark.parametrize(
    ("value", "unit"),
    [("$0.01", "usd"), ("0.01", "usd"), ("1MFLOP", "flops"), ("900tok", "tokens")],
)
def test_values_have_units(value, unit):
    found = searched(Spend(value=value, length=3), coin()).found
    assert found.settlement.decisions[0].unit == unit
