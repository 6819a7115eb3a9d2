"""The engine of this machine as a back end of searches, on tiny models."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from forethought import catalogue
from forethought.backends.local.local import LocalBackend
from forethought.contracts.errors import ForethoughtError, UsageError
from forethought.contracts.questions import Question
from forethought.contracts.search import Found, Strategy, verdicts, write
from forethought.cost.budget import spend_limit
from forethought.driver.driver import Driver
from forethought.driver.job import Job
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.scheduler import Scheduler
from forethought.methods.search.greedy import Greedy
from forethought.methods.search.majority_vote import MajorityVote
from forethought.methods.search.rpc import RPC
from forethought.models.chat.prompt import chat_prompt
from forethought.recipes.recipe import Recipe
from forethought.tasks.same_answers import SameAnswers
from tests.driver.searches import Kept
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET, run
from tests.tiny_model import tiny_tokenizer

ASKED = Question("q", QUESTION, DOCUMENT)
WARM = {"temperature": 1.0, "max_tokens": 16}
METHODS = [(), ("snapkv(keep=120)",), ("specpc-shallow(keep=150)",), ("speckv(keep=120)",)]


class Letters(Strategy):
    """A step ends at a letter; all steps are first children."""

    def search(self, start, rng):
        one = start
        while not one.done:
            (one,) = yield from write([one], until="step", delimiter="e")
        return Found(one, (one,))


class Bushy(Strategy):
    """Steps of five tokens: three children of the start, two of each of them, then to the end."""

    def search(self, start, rng):
        first = yield from write([start] * 3, max_tokens=5)
        second = yield from write([one for one in first for _ in range(2)], max_tokens=5)
        ends = yield from write(second)
        return Found(ends[0], tuple(ends), pruned=tuple(first))


@dataclass(frozen=True)
class Fan(Strategy):
    """Five tokens, then so many ends of them."""

    ends: int

    def search(self, start, rng):
        (first,) = yield from write([start], max_tokens=5)
        ends = yield from write([first] * self.ends)
        return Found(ends[0], tuple(ends))


def local(methods=(), draft="same-tokens", **settings):
    recipe = Recipe(model="target", draft=draft, approximate=methods, **{**WARM, **settings})
    return LocalBackend(recipe, TARGET, DRAFTS[draft], itertools.count().__next__)


def job(strategy, name="run", seed=0, budget="", question=ASKED, max_tokens=16, named="", **more):
    limit = spend_limit(budget)
    one = Job(name, question, strategy, SameAnswers(), None, limit, seed, max_tokens, named)
    return replace(one, **more)


def searched(strategy, backend=None, journal=None, **settings):
    drive = Driver(backend or local(), *([journal] if journal else []))
    (done,) = drive.run([job(strategy, **settings)])
    if done.error:
        raise done.error
    return done


def texts(done):
    return [one.text for one in done.found.considered]


@pytest.mark.parametrize("methods", METHODS)
def test_answers_of_a_search_are_those_of_as_many_samples(methods):
    plain = run("same-tokens", approximate=methods, samples=3, **WARM)
    done = searched(MajorityVote(n=3), local(methods))

    assert texts(done) == [one["text"] for one in plain["candidates"]]
    assert [one.tokens for one in done.found.considered] == [
        one["tokens"] for one in plain["candidates"]
    ]
    for name in ("prompt_tokens", "output_tokens", "scoring_tokens", "draft_tokens"):
        assert getattr(done.cost, name) == plain["cost"][name], name
    assert done.cost.flops == pytest.approx(plain["cost"]["flops"], rel=1e-9)
    assert done.cost.bytes_moved == pytest.approx(plain["cost"]["bytes_moved"], rel=1e-9)


@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("seed", [0, 3])
def test_steps_of_first_children_are_the_plain_answer(methods, seed):
    plain = run("same-tokens", approximate=methods, seed=seed, **WARM)
    done = searched(Letters(), local(methods), seed=seed)

    assert texts(done) == [plain["answer"]]
    assert done.cost.output_tokens == plain["cost"]["output_tokens"]


def test_greedy_is_the_plain_answer_at_temperature_0():
    assert texts(searched(Greedy())) == [run("same-tokens", max_tokens=16)["answer"]]


def test_a_tree_is_the_same_alone_and_in_company():
    jobs = [job(Bushy(), f"run {seed}", seed) for seed in range(3)]
    jobs.append(job(MajorityVote(n=2), "other", question=replace(ASKED, text="And locker 7?")))
    alone = {one.run: next(iter(Driver(local()).run([one]))) for one in jobs}

    for done in Driver(local()).run(jobs):
        assert texts(done) == texts(alone[done.job.run])
        assert done.cost == alone[done.job.run].cost


def test_what_is_pruned_is_paid_and_prefixes_are_shared():
    done = searched(Bushy())
    ends = done.found.considered

    assert len(ends) == 6
    assert ends[0].text.startswith(done.found.pruned[0].text)
    assert done.cost.output_tokens == 3 * 5 + 6 * (16 - 5)
    assert done.cost.prompt_tokens == run("same-tokens", **WARM)["cost"]["prompt_tokens"]


def test_what_goes_on_from_the_first_candidate_shares_the_prompt():
    alone = run("same-tokens", **WARM)["cost"]["peak_cache_bytes"]
    few, many = (searched(Fan(ends)).cost.peak_cache_bytes for ends in (2, 8))

    # Six more ends hold what was written, 16 tokens each, and not six more prompts.
    assert many - few < alone


def accounted(done):
    """What was found and what it took; the bytes moved are of the machine that did it."""
    return texts(done), replace(done.cost, bytes_moved=0.0, peak_cache_bytes=0), done.opened


@pytest.mark.parametrize("budget", ["", "2MFLOP"])
@pytest.mark.parametrize("methods", METHODS)
def test_a_search_stopped_anywhere_goes_on_to_the_same_end(methods, budget):
    whole = Kept()
    done = searched(Bushy(), local(methods), whole, budget=budget)
    assert done.budget_spent == bool(budget)
    rng = np.random.default_rng(0)
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        # Outcomes of many searches come in any order, so that any of them may be missing.
        some = Kept({key: o for key, o in whole.outcomes.items() if rng.random() < share})
        again = searched(Bushy(), local(methods), some, budget=budget)
        assert accounted(again) == accounted(done)
        assert some.outcomes.keys() == whole.outcomes.keys()


def test_searches_that_ask_alike_are_given_the_same_answers_once():
    few, many = MajorityVote(n=2), RPC(n=4, prune_from=5)
    shared = Kept()
    one = searched(few, journal=shared, named="asks", name="one")
    asked = len(shared.outcomes)
    two = searched(many, journal=shared, named="asks", name="two")

    assert (asked, len(shared.outcomes)) == (2, 4)
    assert texts(two)[:2] == texts(one)
    assert accounted(two) == accounted(searched(many))
    searched(many, journal=shared, named="asks otherwise", name="three")
    assert len(shared.outcomes) == 8


@pytest.mark.parametrize("methods", METHODS)
@pytest.mark.parametrize("share", fast_each(2, [0.4, 0.9, 0.99, 1.0, 1.05]))
def test_a_budget_of_flops_is_never_overshot(methods, share):
    free = searched(Bushy(), local(methods)).cost.flops
    backend = local(methods)
    budget = f"{int(share * free)}FLOP"
    (done,) = Driver(backend).run([job(Bushy(), budget=budget)])

    assert done.cost.flops <= share * free
    assert done.found is None or done.budget_spent or share >= 1


@pytest.mark.parametrize("after", [0, 3, 6])
def test_an_interruption_keeps_and_counts_what_was_begun(after):
    class Interrupted(Scheduler):
        tokens = 0

        def step(self):
            if self.tokens == 3 * after:
                raise KeyboardInterrupt
            events = super().step()
            self.tokens += len(events)
            return events

    backend = local()
    backend.scheduler = Interrupted()
    if not after:
        with pytest.raises(KeyboardInterrupt):
            searched(MajorityVote(n=3), backend)
        return
    done = searched(MajorityVote(n=3), backend)
    plain = run("same-tokens", samples=3, **WARM)

    assert done.cut == "interrupted"
    assert [one.tokens for one in done.found.considered] == [after] * 3
    assert all(
        whole["text"].startswith(one.text)
        for one, whole in zip(done.found.considered, plain["candidates"], strict=True)
    )
    assert done.cost.output_tokens == 3 * after
    assert done.cost.prompt_tokens == plain["cost"]["prompt_tokens"]
    assert {one.finish for one in done.found.considered} == {""}


@pytest.mark.parametrize(
    "spelled",
    [
        "best-of-n(n=2)",
        "tree-refine(depth=1)",
        pytest.param("diverse-beam", marks=pytest.mark.slow),
    ],
)
def test_time_that_is_over_before_a_verdict_or_a_look_ends_the_search_alone(spelled):
    strategy = catalogue.build(spelled, "strategies")
    judge = catalogue.build("self-judge", "scorers") if strategy.scores else None
    ends = set()
    for seconds in range(1, 120):
        # The clock goes on by one whenever somebody looks at it.
        asked = replace(job(strategy, budget=f"{seconds}s", max_tokens=4), scorer=judge)
        (done,) = Driver(local()).run([asked])
        assert done.error is None or isinstance(done.error, ForethoughtError)
        ends.add(done.cut)
        if not done.cut and done.error is None:
            break  # more time changes nothing
    assert ends >= {"budget"}


def test_an_interrupted_reading_is_no_answer_and_nothing_is_waited_for():
    class Interrupted(Scheduler):
        def step(self):
            raise KeyboardInterrupt

    # A thousandth of a second a look at the clock: it is looked at until something is there.
    clock = itertools.count(0, 0.001).__next__
    backend = LocalBackend(Recipe(model="target", **WARM), TARGET, TARGET, clock)
    backend.scheduler = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        searched(MajorityVote(n=3), backend)
    assert backend.clock() < 1


def test_a_budget_of_time_ends_with_the_step_that_is_under_way():
    done = searched(MajorityVote(n=4), budget="40s", max_tokens=400)
    assert done.budget_spent
    assert {one.finish for one in done.found.considered} == {"budget"}


def test_a_stop_text_ends_an_answer_and_is_not_part_of_it():
    letter = run("same-tokens", **WARM)["answer"][2]
    plain = run("same-tokens", stop=(letter,), **WARM)
    done = searched(MajorityVote(n=1), local(stop=(letter,)))
    assert texts(done) == [plain["answer"]]
    assert done.found.best.finish == "stop"


def test_verdicts_are_chances_among_the_choices():
    class Judge(Strategy):
        def search(self, start, rng):
            (one,) = yield from write([start])
            found = yield from verdicts(["Is it so?", "Is it not?"], ("Yes", "No"))
            return Found(one, weights=tuple(share for pair in found for share in pair))

    done = searched(Judge())
    yes, no, again, other = done.found.weights
    assert yes + no == pytest.approx(1)
    assert again + other == pytest.approx(1)
    assert yes != again
    assert done.cost.scoring_tokens > 0
    assert done.cost.flops > searched(MajorityVote(n=1)).cost.flops


def test_the_context_ends_an_answer():
    long = Question("q", QUESTION, DOCUMENT * 4)
    room = TARGET.shape.context
    done = searched(MajorityVote(n=1), local(max_tokens=room), question=long, max_tokens=room)
    assert done.found.best.finish in ("stop", "length")


def test_methods_that_go_on_dropping_are_refused():
    with pytest.raises(UsageError, match="drops entries while it decodes"):
        searched(MajorityVote(n=2), local(("evict(keep=120, every=4)",)))


def test_how_sure_the_model_was_is_summed_over_what_it_wrote():
    prompt = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT).tokens
    plain = searched(MajorityVote(n=2)).found.considered
    steps = searched(Letters()).found.best
    for one in (*plain, steps):
        row, total = SequenceCache(len(TARGET.shape.layers)), 0.0
        batch = Batch(TARGET.network, Meter(itertools.count().__next__))
        logits = batch.prefill(row, prompt).double()
        for token in one.token_ids:
            law = torch.softmax(logits, 0)
            total += float((1 / len(law) * (1 / len(law) / law).log()).sum())
            logits = batch.step([row], [token])[0].double()
        assert one.certainty == pytest.approx(total, rel=2e-3)
    assert steps.certainty == pytest.approx(plain[0].certainty, rel=2e-3)


def test_the_token_that_ends_an_answer_is_no_part_of_how_sure_the_model_was():
    before = searched(MajorityVote(n=1)).found.best
    place = next(n for n in range(3, 16) if before.token_ids[n] not in before.token_ids[:n])
    ending = replace(TARGET, tokenizer=tiny_tokenizer())
    ending.tokenizer.ends = frozenset([before.token_ids[place]])
    recipe = Recipe(model="target", **WARM)
    ended = searched(MajorityVote(n=1), LocalBackend(recipe, ending, ending)).found.best
    cut = searched(MajorityVote(n=1), local(max_tokens=place), max_tokens=place).found.best

    assert (ended.finish, ended.tokens) == ("stop", place)
    assert ended.certainty == pytest.approx(cut.certainty, rel=1e-6)
    assert ended.certainty < before.certainty
