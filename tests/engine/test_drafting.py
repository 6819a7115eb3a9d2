"""How many tokens are drafted: by the share that is accepted, and by the seconds of passes."""

from __future__ import annotations

import pytest

from forethought.contracts.drafts import ROOT, DraftTree, TokenDrafter
from forethought.engine.drafting import AcceptanceRate, Drafting
from forethought.engine.row_costs import DraftCost, RowCosts
from tests.tiny import tiny_decoder

SHAPE = tiny_decoder().shape


def costs(**seconds):
    """Measured seconds by rows, such as r1=1.0."""
    found = RowCosts()
    for rows, one in seconds.items():
        found.learn(int(rows[1:]), one)
    return found


def pass_cost(rows=1, clock=lambda: 0.0, **seconds):
    return DraftCost(costs(**seconds), rows, clock)


def rate(share):
    found = AcceptanceRate()
    for place in range(400):
        found.learn(int(share * (place + 1)) > int(share * place))
    return found


def slowly(share, most, ratio, each=0.0):
    """The best number by the published formula: tokens a round beside its cost."""
    rates = [
        sum(share**n for n in range(count + 1)) / (ratio(count) + count * each)
        for count in range(most + 1)
    ]
    return max(range(most + 1), key=lambda count: rates[count])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("slope", [0.02, 0.2, 0.6])
def test_the_number_of_drafted_tokens_leads_to_the_most_tokens_a_second(share, slope):
    cost = pass_cost(**{f"r{n}": 1 + slope * (n - 1) for n in range(1, 12)})
    acceptance = rate(share)
    assert acceptance.share == pytest.approx(share, abs=0.08)

    found = acceptance.best(10, cost, 0.0)

    best = slowly(acceptance.share, 10, cost.ratio)
    gains = [sum(acceptance.share**n for n in range(k + 1)) / cost.ratio(k) for k in (found, best)]
    assert gains[0] == pytest.approx(gains[1], rel=0.03)
    assert (found == 0) == (gains[1] < 1.02)


def test_a_token_that_takes_long_to_draft_is_not_drafted():
    cost = pass_cost(r1=1.0, r11=1.0)
    acceptance = rate(0.7)

    assert acceptance.best(10, cost, 0.0) == 10
    assert 0 < acceptance.best(10, cost, 0.2) < 6
    assert acceptance.best(10, cost, 0.9) == 0


def test_seconds_between_measured_numbers_of_rows_are_interpolated():
    known = costs(r1=1.0, r5=2.0)

    assert known.seconds(3) == pytest.approx(1.5)
    assert known.ratio(1, 4) == pytest.approx(2.0)
    assert known.ratio(5, 5) == pytest.approx(1.1)
    assert RowCosts().ratio(1, 8) == 1.0


def test_one_slow_pass_counts_little_and_a_faster_machine_counts_at_once():
    known = costs(r1=1.0)
    known.learn(1, 100.0)
    assert known.seconds(1) == pytest.approx(1.2)
    known.learn(1, 0.2)
    assert known.seconds(1) == pytest.approx(0.7)


def test_a_number_of_rows_is_measured_anew_after_a_while():
    known = costs(r1=1.0, r8=50.0)
    for _ in range(600):
        known.learn(1, 1.0)

    assert known.ratio(1, 7) < 1.2


class Chains(TokenDrafter):
    """Drafts one token again and again, and counts how often it is asked."""

    def __init__(self, *, decodes=False):
        self.asked, self._decodes = [], decodes

    @property
    def decodes(self):
        return self._decodes

    def draft(self, tokens, most):
        self.asked.append(most)
        return DraftTree.chain([7] * most)


def test_drafts_stop_where_none_is_accepted_and_resume_where_they_are():
    drafting = Drafting(Chains(), SHAPE)
    cost = pass_cost(r1=1.0, r2=1.2, r9=5.0)
    drafted = []
    for step in range(60):
        drafted.append(len(drafting.draft([1], 8, cost)))
        drafting.learn(7 if step >= 30 else 8)

    assert drafted[0] > 0
    assert drafted[25:30] == [0] * 5
    assert drafted[-1] > 0


def test_a_model_is_asked_less_and_less_where_its_drafts_do_not_pay():
    drafter = Chains(decodes=True)
    drafting = Drafting(drafter, SHAPE)
    ticks = iter(range(10_000))
    cost = pass_cost(clock=lambda: float(next(ticks)), r1=0.5)
    for _ in range(200):
        drafting.draft([1], 8, cost)
        drafting.learn(8)

    assert 3 < len(drafter.asked) < 15
    assert drafter.asked[-1] == 1


def test_no_token_beyond_the_vocabulary_is_verified():
    class Odd(TokenDrafter):
        def draft(self, tokens, most):
            return DraftTree((3, SHAPE.vocabulary, 4), (ROOT, 0, ROOT))

    assert Drafting(Odd(), SHAPE).draft([1], 8, pass_cost()).tokens == (3,)
