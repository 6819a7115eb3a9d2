"""The upper bound on a prefill's FLOPs, which a budget reserves before the prefill."""

from __future__ import annotations

import pytest

from forethought import catalogue
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.prefill.prepare import Preparation, prefill_all
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
READS_TWICE = {"kvzip"}
"""Methods whose scores need passes beyond prefill and look-ahead; see their `Cost`."""


def prepared(method: str, answer_tokens: int):
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT)
    methods = ((method, catalogue.build(method)),)
    made = Preparation(methods, TARGET, DRAFTS["same-tokens"], answer_tokens)
    return made.prepare(prompt, Meter(lambda: 0.0))


@pytest.mark.parametrize("name", [name for name in runnable() if name not in READS_TWICE])
def test_no_prefill_costs_more_than_the_bound(name: str) -> None:
    prompt = prepared(below_full_budget(name), answer_tokens=12)
    bound = prompt.flops_at_most()

    prefill_all([prompt], lambda: 0.0)

    assert prompt.error is None
    assert 0 < prompt.spent().flops <= bound


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
