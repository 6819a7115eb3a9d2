"""Verdicts of a model here: what questions begin with alike is read once, and changes nothing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import pytest
import torch

from forethought.backends.local.local import LocalBackend
from forethought.backends.local.verdicts import VerdictModel
from forethought.backends.verdict_prefixes import VerdictPrefixes
from forethought.contracts.backend import VerdictRequest
from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.questions import Question
from forethought.contracts.search import Found, Strategy, verdicts, write
from forethought.cost.budget import spend_limit
from forethought.cost.flops import prefill_flops
from forethought.driver.driver import Driver
from forethought.driver.job import Job
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.methods.scoring.self_judge import SelfJudge
from forethought.methods.search.best_of_n import BestOfN
from forethought.models.chat.prompt import chat_prompt
from forethought.recipes.recipe import Recipe
from forethought.tasks.same_answers import SameAnswers
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET

CHOICES = ("Yes", "No")
LONG = f"{DOCUMENT}\n\n{QUESTION}\n\nAnswer: "
QUESTIONS = [
    f"{LONG}47. Is it right?",
    f"{LONG}It is forty-seven. Is it right?",
    "Is it something else?",
    f"{LONG}47. Is it right?",
    f"{LONG}47. Is it right? Or is it not?",
    f"{LONG}4",
]


def judge():
    return VerdictModel(TARGET, itertools.count().__next__)


def asked(*questions, after=()):
    """A judgement of questions, of which some were judged before."""
    read = VerdictPrefixes()
    behind = [read.add(one) for one in (*after, *questions)]
    return VerdictRequest("k", "run", questions, CHOICES, tuple(behind[len(after) :]))


def tokens(question):
    return chat_prompt(TARGET.tokenizer, TARGET.template, question).tokens


def alone(question):
    """The chances, by a reading of the whole question and nothing else."""
    row, meter = SequenceCache(len(TARGET.shape.layers)), Meter(itertools.count().__next__)
    logits = Batch(TARGET.network, meter).prefill(row, tokens(question)).double()
    chances = torch.softmax(logits, 0)
    mass = []
    for word in CHOICES:
        texts = {space + text for space in ("", " ") for text in (word, word.lower())}
        mass.append(sum(float(chances[first]) for first in {first_of(text) for text in texts}))
    return [one / sum(mass) for one in mass]


def first_of(text):
    return TARGET.tokenizer.encode(text)[0]


def shared(first, question):
    """Tokens that both begin with, by slow comparison; the last one is always read."""
    one, other, count = tokens(first), tokens(question), 0
    while count < min(len(one), len(other) - 1) and one[count] == other[count]:
        count += 1
    return count


def same(chances):
    # Attention is summed in pieces, which rounds otherwise.
    return [pytest.approx(one, abs=2e-3) for one in chances]


def test_chances_are_those_of_questions_that_are_read_alone():
    expected = [alone(one) for one in QUESTIONS]
    assert list(judge().outcome(asked(*QUESTIONS)).chances) == same(expected)
    assert len({round(yes, 2) for yes, _ in expected}) > 2


def test_what_questions_share_is_read_and_charged_once():
    cost = judge().outcome(asked(*QUESTIONS)).cost
    whole = [len(tokens(one)) for one in QUESTIONS]
    spared = [0, *(shared(QUESTIONS[0], one) for one in QUESTIONS[1:])]
    assert min(spared[1], spared[5]) > 100
    assert cost.scoring_tokens == sum(whole) - sum(spared)
    assert cost.flops < 0.5 * sum(prefill_flops(TARGET.shape, one) for one in whole)


def test_the_most_that_verdicts_take_is_what_they_take():
    for ask in (asked(*QUESTIONS), asked(*QUESTIONS[1:3], after=QUESTIONS[:1])):
        assert judge().outcome(ask).cost.flops == pytest.approx(judge().flops(ask), rel=1e-12)


def test_a_single_question_costs_its_reading():
    size = len(tokens(QUESTIONS[0]))
    cost = judge().outcome(asked(QUESTIONS[0])).cost
    assert cost.flops == pytest.approx(prefill_flops(TARGET.shape, size), rel=1e-12)
    assert cost.scoring_tokens == size


def test_later_verdicts_of_a_run_go_on_from_its_first_question():
    one = judge()
    one.outcome(asked(QUESTIONS[0]))
    later = one.outcome(asked(QUESTIONS[1], after=QUESTIONS[:1]))
    together = judge().outcome(asked(*QUESTIONS[:2]))
    assert later.chances == together.chances[1:]
    parted = shared(QUESTIONS[0], QUESTIONS[1])
    assert later.cost.scoring_tokens == len(tokens(QUESTIONS[1])) - parted


def test_what_was_paid_before_a_stop_is_read_again_and_not_paid_again():
    one = judge()
    one.outcome(asked(QUESTIONS[0]))
    going_on = asked(*QUESTIONS[1:], after=QUESTIONS[:1])
    whole, after_a_stop = one.outcome(going_on), judge().outcome(going_on)
    assert after_a_stop.chances == whole.chances
    assert replace(after_a_stop.cost, peak_cache_bytes=0) == replace(whole.cost, peak_cache_bytes=0)


STEPS = [f"{LONG}{'Ada counts the pens again. ' * count}Is it right so far?" for count in (1, 5, 9)]


def test_a_beginning_is_read_from_where_it_goes_on_from_a_shorter_one():
    one, expected = judge(), [alone(step) for step in STEPS]
    for place, step in enumerate(STEPS):
        told = one.outcome(asked(step, after=STEPS[:place]))
        assert list(told.chances) == same([expected[place]])
        parted = shared(STEPS[place - 1], step) if place else 0
        assert told.cost.scoring_tokens == len(tokens(step)) - parted
    assert shared(STEPS[1], STEPS[2]) > shared(STEPS[0], STEPS[2]) + 20


def test_beginnings_that_are_not_at_hand_are_read_again_as_they_were(monkeypatch):
    last = asked(STEPS[2], after=STEPS[:2])
    assert last.behind == (tuple(STEPS[:2]),)
    whole = judge()
    whole.outcome(asked(*STEPS[:2]))
    expected = whole.outcome(last)
    monkeypatch.setattr("forethought.backends.local.verdicts.KEPT_TOKENS", 0)
    for before in ([], STEPS[:1], STEPS[:2]):
        one = judge()
        if before:
            one.outcome(asked(*before))
        found = one.outcome(last)
        assert found.chances == expected.chances
        assert found.cost.scoring_tokens == expected.cost.scoring_tokens
        assert list(one._judged["run"]) == STEPS[:1]  # all but the first is too much


def test_what_a_run_asked_is_let_go_of_with_it():
    one = judge()
    one.outcome(asked(QUESTIONS[0]))
    assert one._judged
    one.release("run")
    assert not one._judged


def test_a_question_that_does_not_fit_is_an_error():
    long = LONG * 40
    assert len(tokens(long)) > TARGET.shape.context
    with pytest.raises(PromptTooLongError, match="for a verdict"):
        judge().outcome(asked("Short?", long))


@dataclass(frozen=True)
class OneByOne(Strategy):
    """Answers that are judged together, or one after another."""

    together: bool

    def search(self, start, rng):
        answers = yield from write([start] * 3)
        # The later ones have more in common with each other than with the first.
        pages = [f"{LONG}{one.text} Is it right?" for one in answers]
        pages += [f"Another question, which begins otherwise: {one.text}" for one in answers]
        chances = []
        for asked in [pages] if self.together else [[page] for page in pages]:
            chances += yield from verdicts(asked, CHOICES)
        return Found(answers[0], tuple(answers), tuple(yes for yes, _ in chances))


def searched(strategy, scorer=None, journal=None, budget=""):
    recipe = Recipe(model="target", temperature=1.0, max_tokens=8)
    backend = LocalBackend(recipe, TARGET, TARGET, itertools.count().__next__)
    question = Question("q", QUESTION, DOCUMENT)
    limit = spend_limit(budget)
    job = Job("run", question, strategy, SameAnswers(), scorer, limit, max_tokens=8)
    (done,) = Driver(backend, *([journal] if journal else [])).run([job])
    assert done.error is None
    return done


class Kept(dict):
    """A journal in memory."""

    def put(self, outcome):
        self[outcome.key] = outcome


def test_a_search_pays_the_same_whether_verdicts_are_asked_for_together_or_not():
    together, apart = searched(OneByOne(True)), searched(OneByOne(False))
    assert apart.found.weights == together.found.weights
    assert apart.cost.scoring_tokens == together.cost.scoring_tokens
    assert apart.cost.flops == pytest.approx(together.cost.flops)


def test_a_search_that_was_stopped_between_verdicts_ends_the_same():
    kept = Kept()
    whole = searched(OneByOne(False), journal=kept)
    for size in range(1, len(kept)):
        some = Kept(itertools.islice(kept.items(), size))
        again = searched(OneByOne(False), journal=some)
        assert again.found == whole.found
        assert again.cost.scoring_tokens == whole.cost.scoring_tokens
        assert again.cost.flops == pytest.approx(whole.cost.flops)
        assert some.keys() == kept.keys()


def test_a_judged_search_reads_the_question_once_for_all_answers_within_its_budget():
    free = searched(BestOfN(n=4), SelfJudge())
    size = len(tokens(LONG))
    assert size < free.cost.scoring_tokens < 2 * size
    assert searched(BestOfN(n=4), SelfJudge(), budget=f"{int(free.cost.flops) + 1}FLOP").scores
    short = searched(BestOfN(n=4), SelfJudge(), budget=f"{int(free.cost.flops * 0.99)}FLOP")
    assert short.budget_spent
    assert short.cost.flops <= free.cost.flops * 0.99
