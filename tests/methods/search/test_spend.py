"""The spending rule: decisions by expected net value, through the real driver."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.backends.known import END, KnownBackend
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.driver.driver import Driver
from forethought.driver.job import Decided
from forethought.methods.search.spend import Spend
from tests.backends.local.test_local import local
from tests.backends.local.test_local import searched as local_searched
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


def with_prompts(whole: float, short: float, **more) -> KnownBackend:
    """A model whose prompts cost so many FLOPs, and that answers behind both alike."""
    prompts = {"target": whole, "shortened": short}
    return KnownBackend(coin(0.6), shortened=coin(0.6), prefill=prompts, **more)


LONG = Spend(value="900FLOP", n=4, shortened=True, length=3)


def test_a_shortened_prompt_is_read_where_it_saves_and_keeps_the_success():
    rule = replace(LONG, success=0.8, shortened_success=0.78)
    for whole, short, first in ((300.0, 60.0, "shortened"), (6.0, 3.0, "target")):
        done = searched(rule, backend=with_prompts(whole, short))
        writers = [one.writer for one in done.found.considered]
        assert writers[0] == first
        paid = sum({"target": whole, "shortened": short}[one] for one in set(writers))
        assert done.cost.flops == pytest.approx(paid + 3 * len(writers))


def test_a_shortened_prompt_that_loses_the_answer_is_not_read():
    for kept, writer in ((0.1, "target"), (0.78, "shortened")):
        rule = replace(LONG, n=1, success=0.8, shortened_success=kept)
        done = searched(rule, backend=with_prompts(300.0, 60.0))
        assert [one.writer for one in done.found.considered] == [writer]


def test_each_prompt_has_a_price_and_a_success_rate_of_its_own():
    rule = replace(LONG, success=0.8, shortened_success=0.5)
    found = searched(rule, backend=with_prompts(300.0, 60.0)).found
    first = found.settlement.decisions[0]
    means = {way: one["mean"] for way, one in first.belief["success"].items()}
    assert means == pytest.approx({"target": 0.8, "shortened": 0.5}, abs=0.01)
    prices = {one.way: one.price for one in first.alternatives if one.way}
    assert prices["target"] > 300 > prices["shortened"] > 60


def test_a_rate_that_is_not_stated_is_below_that_of_the_whole_prompt():
    found = searched(replace(LONG, success=0.8), backend=with_prompts(300.0, 60.0)).found
    rates = found.settlement.decisions[0].belief["success"]
    assert 0.6 < rates["shortened"]["mean"] < rates["target"]["mean"]


def test_a_prompt_beyond_the_context_is_no_way():
    backend = with_prompts(300.0, 60.0, too_long=frozenset({"target"}))
    found = searched(replace(LONG, success=0.9, shortened_success=0.3), backend=backend).found
    assert {one.writer for one in found.considered} == {"shortened"}
    assert {one.way for one in found.settlement.decisions[0].alternatives} == {"", "shortened"}


def test_three_ways_are_weighed_together():
    backend = replace(with_prompts(300.0, 60.0), drafted=coin(0.6))
    rule = replace(LONG, draft=True, success=0.9, shortened_success=0.8, draft_success=0.3)
    first = searched(rule, backend=backend).found.settlement.decisions[0]
    assert {one.way for one in first.alternatives} == {"", "target", "shortened", "draft"}


def test_a_back_end_without_a_shortened_prompt_is_refused():
    with pytest.raises(UsageError, match="shortened-prompt"):
        searched(LONG, coin(0.6))


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


def test_money_is_no_value_where_tokens_have_no_price():
    with pytest.raises(BadParameterError, match="tokens have no price"):
        local_searched(Spend(value="$0.01"), local(()))


def test_under_the_broad_prior_a_high_penalty_ends_before_the_first_answer():
    """The guide states the bound, and what a stated rate changes."""
    actions = [
        chosen(
            searched(Spend(value="1e6x", penalty=penalty, length=3, success=rate), coin()).found
        )[0]
        for penalty, rate in ((1.2, None), (1.4, None), (1.4, 0.8))
    ]
    assert actions == ["sample", "abstain", "sample"]
