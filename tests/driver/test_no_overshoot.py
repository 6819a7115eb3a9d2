"""No budget is overshot: all kinds of searches at once, random latencies, requests that fail."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forethought import catalogue
from forethought.backends.known import KnownBackend
from forethought.contracts.errors import ForethoughtError, ModelError
from forethought.cost.budget import spend_limit
from forethought.driver.driver import Driver
from tests.driver.searches import Rule, job, three_steps

TOGETHER = 64
STEPS = "delimiter='\\n'"
SEARCHES = [
    "greedy",
    "majority-vote(n=6)",
    "majority-vote(n=6, confident=0.9, window=2)",
    "temperature-vote(n=6)",
    "rpc(n=5)",
    "best-of-n(n=4)",
    "best-of-n(n=4, enough=0.9)",
    "adaptive(n=3)",
    "adaptive(n=4, window=2, begin=2)",
    f"particle-filter(n=4, {STEPS})",
    f"particle-gibbs(n=3, iterations=2, {STEPS})",
    f"parallel-tempering(n=2, chains=2, iterations=2, {STEPS})",
    f"beam(n=4, width=2, {STEPS})",
    f"dvts(trees=2, width=2, {STEPS})",
    "diverse-beam(groups=2, width=2)",
    f"a-star(n=2, {STEPS})",
    f"mcts(n=2, iterations=4, {STEPS})",
    f"step-beam(width=2, n=2, {STEPS})",
    "self-refine(rounds=2)",
    "tree-refine(depth=2, judges=3)",
    "sequential-revision(n=3)",
    "hedged(n=4)",
    "checklist(n=3)",
    "cross-lingual(n=2, evidence=1)",
    "cascade(n=2, sure=0.9)",
    f"spec-reason(theta=3, judge=average, {STEPS})",
]


def chance(text):
    """A number from 0 to 1 that belongs to a text."""
    return zlib.crc32(text.encode()) / 2**32


@dataclass
class Unsteady(KnownBackend):
    """A request in some comes to nothing, and costs what it would have."""

    failing: float = 0.0

    def _outcome(self, request):
        outcome = super()._outcome(request)
        if chance(request.key) >= self.failing:
            return outcome
        return replace(outcome, piece=None, chances=(), following=(), error=ModelError("broken"))


def opinion(question, choices):
    yes = chance(question)
    return (yes, *([(1 - yes) / (len(choices) - 1)] * (len(choices) - 1)))


def unsteady(seed, failing):
    def delay(key):
        return random.Random(f"{seed} {key}").choice([0.01, 1.0, 1.0, 50.0])

    return Unsteady(
        three_steps,
        opinion=opinion,
        delay=delay,
        verdict_flops=3.0,
        next_token_flops=2.0,
        drafted=three_steps,
        failing=failing,
    )


def jobs(seed, unit):
    """Searches of all kinds, each with a budget of its own."""
    rng = random.Random(seed)
    for number in range(TOGETHER):
        strategy = catalogue.build(SEARCHES[(seed + number) % len(SEARCHES)], "strategies")
        amount = rng.choice([1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
        scorer = Rule(chance) if strategy.scores else None
        told = f"{amount * 1e-6:.6f}usd" if unit == "usd" else f"{amount}{unit}"
        yield replace(
            job(strategy, scorer=scorer, run=f"run {number}", seed=seed + number),
            limit=spend_limit(told),
        )


RUNS = st.integers(0, 10**6), st.sampled_from(["tok", "FLOP", "usd"]), st.floats(0.0, 0.3)


@settings(max_examples=15, deadline=None)
@given(*RUNS)
def test_no_search_of_any_kind_spends_more_than_its_budget(seed, unit, failing):
    check_budgets(seed, unit, failing)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(*RUNS)
def test_no_search_of_many_spends_more_than_its_budget(seed, unit, failing):
    check_budgets(seed, unit, failing)


def check_budgets(seed, unit, failing):
    done = list(Driver(unsteady(seed, failing)).run(list(jobs(seed, unit))))

    assert len(done) == TOGETHER
    for one in done:
        cost, limit = one.cost, one.job.limit
        spent = {
            "tok": (cost.output_tokens + cost.draft_tokens, limit.tokens),
            "FLOP": (cost.flops, limit.flops),
            "usd": (round((cost.usd or 0) * 1e6), round((limit.usd or 0) * 1e6)),
        }[unit]
        assert spent[0] <= spent[1], one.job.strategy
        assert one.found or isinstance(one.error, ForethoughtError)


@pytest.mark.parametrize("failing", [0.0, 0.1])
def test_budgets_end_some_searches_and_failures_others(failing):
    done = [
        one
        for seed in range(4)
        for one in Driver(unsteady(seed, failing)).run(list(jobs(seed, "tok")))
    ]
    assert sum(one.budget_spent for one in done) > 40
    assert sum(one.found is not None and not one.budget_spent for one in done) > 20
    assert any(str(one.error) == "broken" for one in done) == bool(failing)
