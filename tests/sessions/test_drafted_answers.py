"""A draft that writes answers of a search, on the engine of this machine and tiny models."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from forethought import catalogue
from forethought.backends.local.local import LocalBackend
from forethought.contracts.errors import PromptTooLongError, UsageError
from forethought.contracts.search import Found, Strategy, write
from forethought.driver.driver import Driver
from forethought.methods.search.cascade import Cascade
from forethought.methods.search.majority_vote import MajorityVote
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.reports.terminal.panel import panel
from forethought.sessions.session import Session
from tests.backends.local.test_local import WARM, Kept, accounted, job, local, searched, texts
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET, run
from tests.tiny_model import tiny_model

NEEDS_FILE = {"difficulty-router", "difficulty", "restart-gain"}
"""Strategies that are made of a file."""

OTHERS = ["same-tokens", "other-tokens"]
METHODS = [(), ("snapkv(keep=120)",), ("specpc-shallow(keep=150)",)]
COUNTED = ("prompt_tokens", "output_tokens", "scoring_tokens", "draft_tokens")


def small(draft, **settings):
    """The draft's own run, as the only model."""
    model = DRAFTS[draft]
    recipe = Recipe(**{"model": "small", **WARM, **settings})
    session = Session(recipe, (), model, model, clock=itertools.count().__next__)
    *_, done = session.stream(QUESTION, DOCUMENT)
    return done.data["run"]


@pytest.mark.parametrize("draft", OTHERS)
@pytest.mark.parametrize("methods", METHODS)
def test_what_the_draft_writes_is_what_it_writes_alone(draft, methods):
    plain = small(draft, samples=4)
    done = searched(Cascade(n=4, sure=0.0), local(methods, draft))

    assert texts(done) == [one["text"] for one in plain["candidates"]]
    assert {one.writer for one in done.found.considered} == {"draft"}
    cost = done.cost
    assert cost.draft_tokens == plain["cost"]["prompt_tokens"] + plain["cost"]["output_tokens"]
    assert (cost.prompt_tokens, cost.output_tokens) == (0, 0)
    assert cost.flops == pytest.approx(plain["cost"]["flops"], rel=1e-9)
    assert cost.bytes_moved == pytest.approx(plain["cost"]["bytes_moved"], rel=1e-9)
    assert cost.peak_cache_bytes == plain["cost"]["peak_cache_bytes"]


def test_its_own_sign_ends_what_the_draft_writes():
    settings = {"temperature": 1.3, "max_tokens": 130}
    plain = small("other-tokens", samples=6, **settings)
    backend = local((), "other-tokens", **settings)
    done = searched(Cascade(n=6, sure=0.0), backend, max_tokens=130)
    ends = [(one.finish, one.tokens, one.text) for one in done.found.considered]
    assert ends == [(one["finish"], one["tokens"], one["text"]) for one in plain["candidates"]]
    assert {finish for finish, _, _ in ends} == {"stop", "length"}


@pytest.mark.parametrize("draft", OTHERS)
@pytest.mark.parametrize("methods", METHODS)
def test_the_target_answers_as_if_alone_and_both_are_charged(draft, methods):
    plain = run(draft, approximate=methods, max_tokens=16)
    both = searched(Cascade(n=2, sure=2.0), local(methods, draft))
    first = searched(Cascade(n=2, sure=0.0), local(methods, draft))

    assert both.found.best.text == plain["answer"]
    for name in COUNTED:
        mine = getattr(both.cost, name) - getattr(first.cost, name)
        assert mine == plain["cost"][name], name
    assert both.cost.flops == pytest.approx(plain["cost"]["flops"] + first.cost.flops, rel=1e-9)
    assert both.cost.bytes_moved == pytest.approx(
        plain["cost"]["bytes_moved"] + first.cost.bytes_moved, rel=1e-9
    )
    assert both.opened.kept.prompt_tokens == plain["kept"]["prompt_tokens"]


class Mixed(Strategy):
    """Beginnings of five tokens by both models, and what follows them."""

    needs = frozenset({"draft"})

    def search(self, start, rng):
        small = replace(start, writer="draft")
        first = yield from write([start, small, small, start], max_tokens=5)
        ends = yield from write([one for one in first for _ in range(2)])
        return Found(ends[0], tuple(ends), pruned=tuple(first))


def test_each_model_goes_on_with_its_own_beginnings_alone_and_in_company():
    jobs = [job(Mixed(), f"run {seed}", seed) for seed in range(3)]
    jobs.append(job(Cascade(n=2, sure=2.0), "other"))
    alone = {one.run: next(iter(Driver(local((), "other-tokens")).run([one]))) for one in jobs}
    backend = local((), "other-tokens")
    for done in Driver(backend).run(jobs):
        assert texts(done) == texts(alone[done.job.run])
        assert done.cost == alone[done.job.run].cost
    assert backend.runs == {}
    assert backend.scheduler.idle
    for done in alone.values():
        first = {(one.writer, one.path): one.text for one in done.found.pruned}
        for one in done.found.considered if first else ():
            assert one.text.startswith(first[one.writer, one.path[:1]])


@pytest.mark.parametrize("strategy", [Mixed(), Cascade(n=3, sure=2.0)])
@pytest.mark.parametrize("budget", ["", "900kFLOP"])
def test_a_search_of_both_stopped_anywhere_goes_on_to_the_same_end(strategy, budget):
    whole = Kept()
    done = searched(strategy, local((), "other-tokens"), whole, budget=budget)
    assert done.budget_spent == bool(budget)
    rng = np.random.default_rng(0)
    for share in (0.2, 0.5, 0.8):
        some = Kept({key: o for key, o in whole.outcomes.items() if rng.random() < share})
        again = searched(strategy, local((), "other-tokens"), some, budget=budget)
        assert accounted(again) == accounted(done)
        assert some.outcomes.keys() == whole.outcomes.keys()


def test_neither_model_is_given_what_the_other_wrote():
    shared = Kept()
    by_target = searched(MajorityVote(n=2), local((), "other-tokens"), shared, named="alike")
    by_draft = searched(
        Cascade(n=2, sure=0.0), local((), "other-tokens"), shared, named="alike", name="other"
    )
    assert len(shared.outcomes) == 4
    assert set(texts(by_draft)).isdisjoint(texts(by_target))


@pytest.mark.parametrize("draft", OTHERS)
@pytest.mark.parametrize("share", fast_each(2, [0.99, 0.5, 1.05]))
@pytest.mark.parametrize("strategy", [Mixed(), Cascade(n=3, sure=2.0)])
def test_a_budget_of_flops_is_never_overshot_by_the_two(strategy, share, draft):
    free = searched(strategy, local((), draft)).cost.flops
    budget = f"{int(share * free)}FLOP"
    (done,) = Driver(local((), draft)).run([job(strategy, budget=budget)])
    assert done.cost.flops <= share * free
    assert done.found is None or done.budget_spent or share >= 1


@pytest.mark.parametrize("tokens", [1, 10, 31, 40, 64])
def test_a_budget_of_tokens_counts_what_both_write(tokens):
    backend = local((), "other-tokens")
    (done,) = Driver(backend).run([job(Cascade(n=2, sure=2.0), budget=f"{tokens}tok")])
    read = small("other-tokens")["cost"]["prompt_tokens"]
    assert done.cost.draft_tokens - read + done.cost.output_tokens <= tokens


def test_a_model_that_drafts_for_itself_is_no_second_model():
    with pytest.raises(UsageError, match="smaller model first, and none is named"):
        searched(Cascade(), local((), "self"))
    with pytest.raises(UsageError, match="smaller model first, and none is named"):
        Session.open(Recipe(model="smollm2", search="cascade"))
    with pytest.raises(UsageError, match="smaller model first, and none is named"):
        recipe_grid(["cascade"], Recipe(model="smollm2"))


def test_a_contender_keeps_the_draft_that_its_strategy_asks():
    base = Recipe(model="qwen-coder-1.5b", draft="smollm2")
    found = recipe_grid(["exact", "majority-vote", "cascade", "snapkv@cascade(n=2)"], base)
    assert [recipe.spelling for recipe in found] == [
        "qwen-coder-1.5b",
        "qwen-coder-1.5b@majority-vote",
        "qwen-coder-1.5b+draft(smollm2)@cascade",
        "qwen-coder-1.5b+draft(smollm2)+snapkv@cascade(n=2)",
    ]


def test_a_prompt_that_the_draft_cannot_hold_is_an_error_that_names_it():
    narrow = tiny_model("narrow", seed=2, max_position_embeddings=64)
    recipe = Recipe(model="target", draft="narrow", **WARM)
    backend = LocalBackend(recipe, TARGET, narrow, itertools.count().__next__)
    (done,) = Driver(backend).run([job(Cascade())])
    assert isinstance(done.error, PromptTooLongError)
    assert "narrow holds 64" in done.error.message


@pytest.mark.parametrize(("sure", "writer"), [(0.0, "draft"), (2.0, "target")])
def test_records_and_panels_say_who_wrote(sure, writer):
    found = run("other-tokens", search=f"cascade(n=2, sure={sure})", max_tokens=16)
    wrote = [one["writer"] for one in found["candidates"]]
    assert wrote == ["draft"] * 2 + ["target"] * (writer == "target")
    assert [one["writer"] for one in found["candidates"] if one["chosen"]] == [writer]
    shown = panel(found, width=100, colour=False)
    assert f"tok  {writer}" in shown
    assert found["exact"]["flops"] > 0
    assert "writer" not in run("same-tokens", search="majority-vote(n=2)")["candidates"][0]


def test_every_strategy_says_whether_it_asks_a_draft():
    named = [
        name
        for name in catalogue.entries("strategies")
        if name not in NEEDS_FILE and "draft" in catalogue.build(name, "strategies").needs
    ]
    assert named == ["cascade", "spec-reason"]
