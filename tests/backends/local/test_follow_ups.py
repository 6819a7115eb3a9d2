"""Questions behind the cache of an answer: only the question is read, and nothing is changed."""

from __future__ import annotations

import pytest
import torch

from forethought.contracts.search import Found, Strategy, follow_up, write
from forethought.cost.flops import causal_pairs, forward_flops
from forethought.driver.driver import Driver
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.methods.search.adaptive import Adaptive
from forethought.methods.search.majority_vote import MajorityVote
from forethought.models.chat.prompt import chat_prompt, next_turn
from tests.backends.local.test_local import METHODS, Kept, job, local, searched, texts
from tests.backends.local.test_verdicts import CHOICES, first_of
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET

AGAIN = "Would you do better if you started over?"
TURN = next_turn(TARGET.tokenizer, TARGET.template, AGAIN, thinking=False).tokens
PROMPT = chat_prompt(TARGET.tokenizer, TARGET.template, QUESTION, DOCUMENT).tokens


def slow(candidate):
    """The chances of both words behind prompt, answer and question, read from their start."""
    row = SequenceCache(len(TARGET.shape.layers))
    every = [*PROMPT, *candidate.token_ids, *TURN]
    logits = Batch(TARGET.network, Meter(lambda: 0.0)).prefill(row, every).double()
    chances = torch.softmax(logits, 0)
    mass = []
    for word in CHOICES:
        firsts = {first_of(space + text) for space in ("", " ") for text in (word, word.lower())}
        mass.append(sum(float(chances[one]) for one in firsts))
    return [one / sum(mass) for one in mass]


class Judging(Strategy):
    """Partial answers, their ends, and some of one token; all are judged unless `silent`."""

    follows_up = True

    def __init__(self, silent=False):
        self.silent, self.heard = silent, []

    def _judge(self, candidates):
        if not self.silent:
            told = yield from follow_up(candidates, AGAIN, CHOICES)
            self.heard += zip(candidates, told, strict=True)

    def search(self, start, rng):
        begun = yield from write([start] * 3, max_tokens=5)
        yield from self._judge(begun)
        ends = yield from write([begun[0], begun[0], begun[2]])
        yield from self._judge([*ends, begun[0], begun[1]])
        short = yield from write([start] * 2, max_tokens=1)
        yield from self._judge(short)
        late = yield from write([begun[1], short[1]])
        yield from self._judge(late)
        return Found(ends[0], (*ends, *short, *late), pruned=tuple(begun))


def test_verdicts_are_those_of_the_whole_conversation():
    judging = Judging()
    done = searched(judging)

    assert len(judging.heard) == 3 + 5 + 2 + 2
    for candidate, told in judging.heard:
        assert told == pytest.approx(slow(candidate), rel=1e-4)
    assert len({round(yes, 6) for _, (yes, _) in judging.heard}) > 5
    assert any(one.finish == "stop" for one in done.found.considered)


@pytest.mark.parametrize("methods", METHODS)
def test_a_verdict_changes_no_answer(methods):
    judged, silent = searched(Judging(), local(methods)), searched(Judging(True), local(methods))

    assert texts(judged) == texts(silent)
    assert [one.log_probability for one in judged.found.considered] == [
        one.log_probability for one in silent.found.considered
    ]


def test_only_the_question_is_read_and_paid():
    judging = Judging()
    judged, silent = searched(judging), searched(Judging(True))
    # begun[0] and begun[1] are judged again and paid again.
    assert judged.cost.scoring_tokens == len(TURN) * len(judging.heard)
    assert silent.cost.scoring_tokens == 0
    assert judged.cost.output_tokens == silent.cost.output_tokens
    assert judged.cost.prompt_tokens == silent.cost.prompt_tokens
    turns = 0.0
    for candidate, _ in judging.heard:
        past = len(PROMPT) + candidate.tokens
        pairs = [causal_pairs(past, len(TURN), one.window) for one in TARGET.shape.layers]
        turns += forward_flops(TARGET.shape, len(TURN), pairs, logits=1)
    # Newest tokens get their entries for a verdict only where nothing is decoded behind them:
    # those that ended at their limit, and one of the short answers.
    ended = [one for one, _ in judging.heard if one.finish == "length"]
    newest = judged.cost.flops - silent.cost.flops - turns
    assert 0 < newest < (len(ended) + 2) * 1.01 * decode_flops(len(PROMPT) + 16)


def decode_flops(past):
    pairs = [causal_pairs(past, 1, one.window) for one in TARGET.shape.layers]
    return forward_flops(TARGET.shape, 1, pairs, logits=1)


def test_a_search_that_resumes_pays_the_same_and_ends_alike():
    journal = Kept()
    whole = searched(Judging(), journal=journal)
    for known in range(0, len(journal.outcomes), 4):
        half = Kept()
        half.outcomes = dict(list(journal.outcomes.items())[:known])
        judging = Judging()
        again = searched(judging, journal=half)

        assert texts(again) == texts(whole)
        assert again.cost.flops == pytest.approx(whole.cost.flops)
        assert again.cost.scoring_tokens == whole.cost.scoring_tokens
        for candidate, told in judging.heard:
            assert told == pytest.approx(slow(candidate), rel=1e-4)


def test_it_costs_the_same_alone_and_in_company():
    jobs = [job(Judging(), f"run {seed}", seed) for seed in range(3)]
    alone = {one.run: next(iter(Driver(local()).run([one]))) for one in jobs}
    for done in Driver(local()).run(jobs):
        assert texts(done) == texts(alone[done.job.run])
        assert done.cost.flops == pytest.approx(alone[done.job.run].cost.flops)


def test_adaptive_reads_a_short_turn_for_each_verdict():
    strategy = Adaptive(n=4, window=4, begin=5, enough=None, annealed=False)
    done = searched(strategy)
    plain = searched(MajorityVote(n=4))

    kept = [one.path for one in done.found.considered]
    assert len(kept) == 2
    assert [one.text for one in plain.found.considered if one.path in {(k[0],) for k in kept}] == (
        texts(done)
    )
    asked = 'Would you do better if you started over? ("Yes." or "No.")'
    turn = next_turn(TARGET.tokenizer, TARGET.template, asked, thinking=False).tokens
    assert done.cost.scoring_tokens == len(turn) * (4 + 2)


@pytest.mark.parametrize("budget", [1200, 1400, 2000])
def test_a_budget_that_covers_no_verdict_spends_nothing_on_it(budget):
    done = searched(Adaptive(n=3, window=3, enough=None, annealed=False), budget=f"{budget}tok")
    assert done.cost.output_tokens <= budget
