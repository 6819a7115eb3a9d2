"""Budgets in dollars against servers that count, write and lose more than they should."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought import catalogue
from forethought.contracts.backend import CostBound
from forethought.contracts.errors import RemoteError
from forethought.contracts.records import Cost
from forethought.cost.budget import spend_limit
from forethought.cost.leases import Leases
from forethought.driver.driver import Driver
from forethought.driver.judges import Judges
from forethought.methods.scoring.likelihood import Likelihood
from forethought.methods.search.best_of_n import BestOfN
from forethought.methods.search.majority_vote import MajorityVote
from forethought.recipes.recipe import Recipe
from forethought.sessions.run_record import RunRecorder
from tests.backends.openai.openai_server import PROMPT_TOKENS
from tests.backends.openai.remote_asks import PRICES
from tests.driver.searches import job, searched
from tests.driver.test_judges import scorer

TEN_TIMES = 500
"""Of a prompt of 7 tokens, for which 268 are set aside."""
SEARCHES = [
    "majority-vote(n=8)",
    "best-of-n(n=8)",
    'beam(n=4, delimiter="\\n")',
    'particle-filter(n=4, delimiter="\\n")',
]


def notes(done):
    run = RunRecorder(Recipe(model="http://h/v1#toy")).record(done, 0.0)
    return " ".join(run.notes)


def paid(done):
    return done.cost.usd + (done.lost.usd or 0.0)


@pytest.mark.parametrize("spelled", SEARCHES)
def test_the_first_reply_that_counts_too_much_is_the_last(toy, remote, spelled):
    assert remote.capabilities.usage
    toy.set(counts=TEN_TIMES)
    strategy = catalogue.build(spelled, "strategies")
    done = searched(strategy, backend=remote, scorer=Likelihood(), budget="$0.004")

    assert len(toy.told()["asked"]) == 1
    assert paid(done) <= 0.004 + PRICES["toy"].usd(PROMPT_TOKENS * TEN_TIMES, 0, 30)
    assert done.beyond > 0.002
    assert "the server counts more tokens than there can be" in notes(done)
    assert "nothing more was spent" in notes(done)


def test_where_dollars_are_not_limited_it_is_told_and_the_search_goes_on(toy, remote):
    toy.set(counts=TEN_TIMES)
    done = searched(MajorityVote(n=8), backend=remote)

    assert len(toy.told()["asked"]) == 8
    assert "the server counts more tokens" in notes(done)
    assert "nothing more was spent" not in notes(done)


def test_a_server_that_counts_as_it_should_is_asked_for_all_at_once_behind_the_first(toy, remote):
    toy.set(delay=0.01)
    done = searched(MajorityVote(n=8), backend=remote, budget="$1")

    assert toy.told()["most_open"] == 7
    assert (done.beyond, notes(done)) == (0.0, "")


def test_a_server_that_begins_to_count_too_much_ends_what_is_on_its_way(toy, remote):
    costly = {"prompt_tokens": PROMPT_TOKENS * 100_000, "completion_tokens": 1}
    at_once = {"choices": [{"text": "x", "finish_reason": "stop"}], "usage": costly}
    slow = {"law": "long", "delay": 0.02}
    toy.set(None, {"status": 200, "body": at_once}, **slow)
    done = searched(MajorityVote(n=8), backend=remote, budget="$0.1", max_tokens=60)

    assert 0.1 < paid(done) <= 0.1 + PRICES["toy"].usd(PROMPT_TOKENS * 100_000, 0, 60)
    # The six others are cancelled when the dear one is heard, long before their ends.
    ends = [one.finish for one in done.found.considered]
    assert ends.count("budget") == 6
    assert toy.told()["written"] < 60 + 6 * 40


@pytest.mark.parametrize("budget", [0.0006, 0.002, 0.004])
@pytest.mark.parametrize("lacking", [{"continues": False}, {"logprobs": False}, {}])
def test_replies_that_are_lost_are_paid_from_the_budget(toy, budget, lacking):
    toy.set(**lacking)
    with toy.remote("toy", prices=PRICES) as remote:
        assert remote.capabilities.usage
        toy.set(*[{"drop": 4}, {"error": 5}] * 40, **lacking)
        (done,) = Driver(remote).run([job(MajorityVote(n=4), budget=f"${budget}")])

    read = sum(PRICES["toy"].usd(PROMPT_TOKENS, 0, 0) for _ in toy.told()["asked"])
    written = PRICES["toy"].usd(0, 0, toy.told()["written"])
    # What the server read and wrote, whoever counts it: never more than was allowed.
    assert read + written <= budget
    assert done.error is None or isinstance(done.error, RemoteError)


def test_a_lost_reply_is_asked_for_again_where_it_can_be_paid(toy, remote):
    remote.known_capabilities = replace(remote.capabilities, continues=False)
    toy.set({"drop": 4}, continues=False)
    done = searched(MajorityVote(n=1), backend=remote, budget="$0.01")
    assert done.found.best.finish == "stop"

    toy.set({"drop": 4}, continues=False)
    done = searched(MajorityVote(n=1), backend=remote, budget="$0.00033")
    assert done.found.best.finish == "budget"
    assert len(toy.told()["asked"]) == 1
    assert paid(done) <= 0.00033


def test_a_judge_that_counts_too_much_is_asked_once(toy):
    one = job(BestOfN(n=6), scorer=scorer(toy), budget="$0.5")
    with Judges(PRICES) as judges, toy.remote("toy", prices=PRICES) as remote:
        backend = judges.with_judges(remote, [one])
        assert remote.capabilities.usage
        toy.set(counts=1000, opinion={"Yes": 0.9, "No": 0.1})
        (done,) = Driver(backend).run([one])
    judged = [body for body in toy.told()["asked"] if body["messages"][0]["content"][:5] == "judge"]
    assert len(judged) <= 1
    assert done.error is not None or done.beyond > 0


def test_a_charge_above_its_lease_leaves_nothing_of_the_dollars_alone():
    ledger = Leases(spend_limit("$1, 100tok"))
    ledger.lease("a", CostBound(Cost(usd=0.1), Cost(output_tokens=1)), 10)
    ledger.settle("a", Cost(usd=0.105, output_tokens=5))
    assert (ledger.surprised, ledger.left()["usd"]) == (False, pytest.approx(0.895))

    ledger.lease("b", CostBound(Cost(usd=0.1), Cost(output_tokens=1)), 10)
    ledger.settle("b", Cost(usd=0.3, output_tokens=5))
    assert ledger.surprised
    assert ledger.left() == {"usd": 0.0, "tokens": 90.0}
    assert ledger.spare(3) == 0.0


def test_one_goes_first_where_dollars_are_limited_and_nowhere_else():
    dollars, tokens = Leases(spend_limit("$1")), Leases(spend_limit("9tok"))
    assert (dollars.careful, tokens.careful) == (True, False)
    dollars.lease("a", CostBound(Cost(usd=0.1)), 1)
    dollars.settle("a", Cost(usd=0.1))
    assert not dollars.careful
    assert tokens.spare(2) is None


def test_dollars_that_were_lost_are_spent():
    ledger = Leases(spend_limit("$1, 100tok"))
    ledger.lost = Cost(usd=0.25, output_tokens=50)
    assert ledger.left() == {"usd": 0.75, "tokens": 100}
