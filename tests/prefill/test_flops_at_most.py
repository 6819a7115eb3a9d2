"""The upper bound on a prefill's FLOPs, which a budget reserves before the prefill."""

from __future__ import annotations

import pytest

from forethought import catalogue
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.prefill_reuse import PrefillMemo, PrefillReuse
from forethought.prefill.prepare import Preparation, prefill_all
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import (
    DOCUMENT,
    DRAFTS,
    QUESTION,
    TARGET,
    below_full_budget,
    run,
    runnable,
)

LONG = 50_000
"""Far more answer tokens than any look-ahead."""
CHEAP = (
    "specpc-shallow(keep=150)",
    "specpc-fused(keep=150)",
    "spec-prefill(keep=150)",
    "gem-filter",
)
CHEAP += ("specpc-shallow(keep=150, lookahead=4)", "laq(keep=120)", "vertical-slash(lookahead=3)")
"""Methods whose look-ahead is shorter than an answer."""


def prepared(method: str, answer_tokens: int, reuse: PrefillReuse | None = None):
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    methods = ((method, catalogue.build(method)),)
    made = Preparation(methods, TARGET, DRAFTS["same-tokens"], answer_tokens, reuse=reuse)
    return made.prepare(prompt, Meter(lambda: 0.0))


OWN_PRODUCTS = 0.15
"""The share of products that a method computes itself, at most in models as tiny as these.

No bound holds them; the meter's limit keeps them within a budget.
"""
SETTINGS = [
    *map(below_full_budget, runnable()),
    "kvzip(keep=200, chunk=16)",
    "kvzip-plus(keep=200, chunk=16)",
    "evict(keep=200, importance='repeating-heads', allocation='whole-heads', chunk=16)",
    "evict(keep=200, importance='far-heads', allocation='whole-heads')",
    "evict(keep=200, importance='reconstruction', chunk=16)",
]


@pytest.mark.parametrize("method", fast_each(2, SETTINGS))
def test_no_prefill_costs_more_than_the_bound(method: str) -> None:
    prompt = prepared(method, answer_tokens=12)
    bound, least = prompt.flops_at_most(), prompt.flops_at_least()

    prefill_all([prompt], lambda: 0.0)

    assert prompt.error is None
    assert 0 < least <= prompt.spent().flops
    assert 0 < prompt.spent().flops <= bound * (1 + OWN_PRODUCTS)


REUSING = ["snapkv(keep=120)", "kvzip(keep=200)", "specpc-shallow(keep=150)", "h2o(keep=120)"]


@pytest.mark.parametrize("method", REUSING)
def test_a_prefill_that_reuses_entries_costs_no_less_than_the_lower_bound(method: str) -> None:
    reuse, spent = PrefillReuse(PrefixCache(1 << 24), PrefillMemo()), []
    for _ in range(2):
        prompt = prepared(method, 12, reuse)
        least = prompt.flops_at_least()

        prefill_all([prompt], lambda: 0.0)
        prompt.close()

        assert prompt.error is None
        assert least <= prompt.spent().flops
        spent.append(prompt.spent().flops)
    assert spent[1] < spent[0] or method.startswith("h2o")  # h2o needs all queries


@pytest.mark.parametrize("method", CHEAP)
def test_the_bound_holds_the_look_ahead_and_no_whole_answer(method: str) -> None:
    assert prepared(method, LONG).flops_at_most() == prepared(method, 12).flops_at_most()


def test_the_bound_of_a_whole_drafted_answer_grows_with_the_answer() -> None:
    method = "speckv(keep=120)"

    assert prepared(method, LONG).flops_at_most() > 10 * prepared(method, 12).flops_at_most()


def test_a_budget_that_covers_the_prefill_answers_whatever_the_longest_answer() -> None:
    method = ("specpc-shallow(keep=150)",)
    short = run("same-tokens", approximate=method, max_tokens=12)
    budget = f"{1.5 * short['cost']['flops'] / 1e6:.3f}MFLOP"

    found = run("same-tokens", approximate=method, budget=budget, max_tokens=LONG)

    assert found["cost"]["output_tokens"] > 0
    assert found["cost"]["flops"] <= 1.5 * short["cost"]["flops"]


BUDGETED = [
    ("kvzip(keep=0.5)",),
    ("specpc(keep=0.5, first_layer=1)", "kvzip(keep=0.5)"),
    ("speckv(keep=0.3, lookahead=4)",),
    ("h2o(keep=0.5)",),
    ("compactor(keep=0.5)",),
    ("specpc-shallow(keep=150)",),
    (),
]


@pytest.mark.parametrize("methods", BUDGETED, ids=str)
def test_a_budget_is_never_exceeded_and_whatever_it_covers_is_answered(
    methods: tuple[str, ...],
) -> None:
    whole = run("self", approximate=methods, max_tokens=1)["cost"]["flops"]

    for share in (0.3, 0.5, 0.7, 0.9, 0.99, 1.001, 1.2, 1.7, 2.5):
        budget = share * whole
        found = run("self", approximate=methods, budget=f"{budget}FLOP", max_tokens=6)

        assert found["cost"]["flops"] <= budget
        assert bool(found["cost"]["output_tokens"]) == (share > 1), share
        told = "the prefill of the prompt takes more than the budget" in found["notes"]
        assert told == (share < 1)


def test_samples_share_a_prefill_that_only_the_whole_budget_covers() -> None:
    method = ("speckv(keep=0.3)",)
    alone = run("self", approximate=method, max_tokens=1)["cost"]["flops"]
    more = 1.01 * alone

    found = run("self", approximate=method, samples=3, budget=f"{more}FLOP", max_tokens=2)

    assert found["cost"]["flops"] <= more
    assert found["cost"]["output_tokens"] >= 3


def test_a_budget_changes_no_token_of_an_answer_that_it_covers() -> None:
    method = ("kvzip(keep=0.5)",)
    free = run("self", approximate=method, max_tokens=6)

    budget = f"{1.05 * free['cost']['flops']}FLOP"
    bounded = run("self", approximate=method, max_tokens=6, budget=budget)

    assert bounded["answer"] == free["answer"]
    assert bounded["cost"]["flops"] == free["cost"]["flops"]
