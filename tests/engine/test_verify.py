"""Drafted tokens: a pass verifies them, and no token of an answer changes."""

from __future__ import annotations

import random

import pytest
import torch

from forethought.contracts.drafts import ROOT, DraftTree, TokenDrafter
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.drafting import Drafting
from forethought.engine.sampling import SamplingParams
from forethought.engine.scheduler import Scheduler
from forethought.engine.sequence import Prefill, Sequence, SequenceStart
from forethought.engine.static_step import VARIABLE
from tests.tiny import SIZES, batch_of, tiny_decoder, tokens_of

VOCABULARY = SIZES["vocab_size"]


class Fixed(TokenDrafter):
    """Drafts from a list of answers, each given by its place in the answer; wrong now and then."""

    def __init__(self, answer, wrong=0.0, seed=0, branches=1):
        self.answer, self.wrong, self.branches = list(answer), wrong, branches
        self.rng = random.Random(seed)

    def draft(self, tokens, most):
        following = self.answer[len(tokens) : len(tokens) + most]
        found, parents, parent = [], [], ROOT
        for token in following:
            others = [self.rng.randrange(VOCABULARY) for _ in range(self.branches - 1)]
            right = self.rng.randrange(VOCABULARY) if self.rng.random() < self.wrong else token
            row = [*others, right]
            self.rng.shuffle(row)
            row = list(dict.fromkeys(row))
            found += row
            parents += [parent] * len(row)
            parent = len(found) - len(row) + row.index(right)
        return DraftTree(tuple(found[:most]), tuple(parents[:most]))


class Noise(TokenDrafter):
    """Drafts random trees, with tokens that are none."""

    def __init__(self, seed=0):
        self.rng = random.Random(seed)

    def draft(self, tokens, most):
        size = self.rng.randrange(0, 9)
        drafted = tuple(self.rng.randrange(-1, VOCABULARY + 2) for _ in range(size))
        return DraftTree(
            drafted, tuple(self.rng.randrange(-1, place) if place else -1 for place in range(size))
        )


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(dtype=torch.float32)


def sequence(decoder, prompt, drafter=None, **settings):
    batch, cache = batch_of(decoder), SequenceCache(len(decoder.shape.layers))
    logits = batch.prefill(cache, prompt)
    drafting = None if drafter is None else Drafting(drafter, decoder.shape)
    return Sequence(
        decoder, batch.meter, lambda: SequenceStart(cache, logits), drafting=drafting, **settings
    )


def run(*sequences):
    scheduler, events = Scheduler(lambda: 0.0), []
    for one in sequences:
        scheduler.add(one)
    while not scheduler.idle:
        events += scheduler.step()
    return events


def answer(decoder, prompt, **settings):
    one = sequence(decoder, prompt, **settings)
    return one, run(one)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("branches", [1, 3])
def test_drafts_change_no_token_and_save_passes(decoder, temperature, branches):
    settings = {"max_tokens": 40, "sampling": SamplingParams(temperature=temperature, seed=3)}
    plain, _ = answer(decoder, tokens_of(20), **settings)

    for wrong in (0.0, 0.4, 1.0):
        drafter = Fixed(plain.tokens, wrong, branches=branches)
        one, events = answer(decoder, tokens_of(20), drafter=drafter, **settings)

        assert one.tokens == plain.tokens
        assert [event.sampled.token for event in events] == plain.tokens
        counts = one.meter.tokens
        assert counts["passes"] + counts.get("accepted", 0) == 39
        if not wrong and branches == 1:
            assert counts["passes"] == 1
        if wrong == 1.0:
            assert counts["verified"] > 100


def test_the_cache_is_that_of_plain_decoding_after_every_step(decoder):
    settings = {"max_tokens": 24}
    plain, _ = answer(decoder, tokens_of(20), **settings)
    one = sequence(decoder, tokens_of(20), Fixed(plain.tokens, 0.3, branches=2), **settings)
    scheduler = Scheduler(lambda: 0.0)
    scheduler.add(one)
    while not scheduler.idle:
        scheduler.step()
        held = 20 + len(one.tokens) - 1
        assert one.cache.lengths() == (held,) * 3
        assert one.cache.next == held
        assert one.cache.tail.positions == list(range(held))
        fresh = SequenceCache(3)
        batch_of(decoder).prefill(fresh, [*tokens_of(20), *one.tokens[:-1]])
        for layer in range(3):
            for mine, theirs in zip(
                one.cache.kv_slices(layer), fresh.kv_slices(layer), strict=True
            ):
                torch.testing.assert_close(mine.keys, theirs.keys, rtol=1e-3, atol=1e-4)
                torch.testing.assert_close(mine.values, theirs.values, rtol=1e-3, atol=1e-4)


def test_noise_changes_no_answer(decoder):
    plain, _ = answer(decoder, tokens_of(20), max_tokens=40)

    for seed in range(8):
        one, _ = answer(decoder, tokens_of(20), drafter=Noise(seed), max_tokens=40)
        assert one.tokens == plain.tokens


def reported(events, sequence):
    return [event.sampled for event in events if event.sequence is sequence]


@pytest.mark.parametrize("branches", [1, 2])
def test_what_is_reported_of_a_token_is_that_of_plain_decoding(decoder, branches):
    """Its log-probability, the likeliest tokens, certainty and confidence."""
    sampling = SamplingParams(
        temperature=0.8, seed=5, top_logprobs=3, certainty=True, confidence=True
    )
    settings = {"max_tokens": 30, "sampling": sampling}
    plain, expected = answer(decoder, tokens_of(20), **settings)

    one, found = answer(
        decoder, tokens_of(20), drafter=Fixed(plain.tokens, 0.2, branches=branches), **settings
    )

    assert one.meter.tokens["accepted"] > 10
    for mine, theirs in zip(reported(found, one), reported(expected, plain), strict=True):
        assert mine.token == theirs.token
        assert mine.log_probability == pytest.approx(theirs.log_probability, abs=1e-4)
        assert [token for token, _ in mine.top] == [token for token, _ in theirs.top]
        chances = [[chance for _, chance in one.top] for one in (mine, theirs)]
        assert chances[0] == pytest.approx(chances[1], abs=1e-4)
        assert mine.certainty == pytest.approx(theirs.certainty, abs=1e-4)
        assert mine.confidence == pytest.approx(theirs.confidence, abs=1e-4)


def test_an_end_token_within_a_draft_ends_the_answer_there(decoder):
    free, _ = answer(decoder, tokens_of(20), max_tokens=20)
    end = free.tokens[6]
    for keeps in (False, True):
        settings = {"max_tokens": 20, "ends": frozenset([end]), "keeps_end": keeps}
        plain, _ = answer(decoder, tokens_of(20), **settings)
        one, events = answer(decoder, tokens_of(20), drafter=Fixed(free.tokens), **settings)

        assert (one.tokens, one.finish) == (plain.tokens, "stop")
        assert len(events) == free.tokens.index(end) + 1
        assert one.cache.lengths() == plain.cache.lengths()
        assert one.cache.next == plain.cache.next


def test_a_sequence_that_is_ended_between_two_verified_tokens_is_a_plain_one(decoder):
    """As by a stop string: the cache holds all tokens but the newest."""
    plain, _ = answer(decoder, tokens_of(20), max_tokens=20)
    one = sequence(decoder, tokens_of(20), Fixed(plain.tokens), max_tokens=20)
    scheduler = Scheduler(lambda: 0.0)
    scheduler.add(one)
    while len(one.tokens) < 7:
        scheduler.step()
    one.end("stop")
    scheduler.step()

    assert scheduler.idle
    assert one.tokens == plain.tokens[:7]
    assert one.cache.lengths() == (26,) * 3
    fork = one.cache.fork()
    assert fork.lengths() == (26,) * 3
    batch = batch_of(decoder)
    after = batch.step([fork], one.tokens[-1:])
    expected = batch.prefill(SequenceCache(3), [*tokens_of(20), *one.tokens])
    torch.testing.assert_close(after[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["plain", "static"])
@pytest.mark.parametrize("prefill_seconds", [None, 0.0])
def test_company_changes_no_sequence(decoder, kind, prefill_seconds, monkeypatch):
    """Some draft, some do not, all at different lengths, and prompts are prefilled meanwhile."""
    monkeypatch.setenv(VARIABLE, kind)
    prompts = [tokens_of(n, seed=n) for n in (3, 17, 40, 9, 25)]
    settings = {"max_tokens": 24, "sampling": SamplingParams(temperature=0.7, seed=2)}
    alone = [answer(decoder, p, stream=n, **settings)[0] for n, p in enumerate(prompts)]
    drafters = [
        Fixed(alone[0].tokens, 0.3),
        None,
        Fixed(alone[2].tokens, branches=2),
        None,
        Noise(),
    ]
    together = [
        sequence(decoder, prompt, drafter, stream=n, **settings)
        for n, (prompt, drafter) in enumerate(zip(prompts, drafters, strict=True))
    ]
    late = sequence(decoder, tokens_of(5), max_tokens=4)
    late.prefill = Prefill(lambda: batch_of(decoder).prefill(SequenceCache(3), tokens_of(300)))
    scheduler = Scheduler(lambda: 0.0, prefill_seconds=prefill_seconds)
    for one in (*together, late):
        scheduler.add(one)
    while not scheduler.idle:
        scheduler.step()

    assert [one.tokens for one in together] == [one.tokens for one in alone]
    assert late.tokens == answer(decoder, tokens_of(5), max_tokens=4)[0].tokens


def test_nobody_waits_for_the_drafts_of_others(decoder):
    plain, _ = answer(decoder, tokens_of(20), max_tokens=40)
    drafting = sequence(decoder, tokens_of(20), Fixed(plain.tokens, 0.5), max_tokens=40)
    other = sequence(decoder, tokens_of(9), max_tokens=20)
    run(drafting, other)

    # It took a token in every pass that there was until it ended.
    assert other.steps == 19
    assert drafting.meter.tokens["passes"] < 39


def test_a_sequence_without_a_draft_has_the_bits_of_a_pass_without_any(decoder):
    def logits(drafter):
        one = sequence(decoder, tokens_of(9), max_tokens=8)
        company = sequence(decoder, tokens_of(20), drafter, max_tokens=8)
        return [event.logits for event in run(company, one) if event.sequence is one]

    plain, _ = answer(decoder, tokens_of(20), max_tokens=8)
    for mine, theirs in zip(logits(Noise(3)), logits(Noise(4)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    assert plain.tokens


def test_memory_is_that_of_plain_decoding(decoder):
    plain, _ = answer(decoder, tokens_of(20), max_tokens=60)
    for drafter in (Fixed(plain.tokens, 0.3), Noise(1)):
        one, _ = answer(decoder, tokens_of(20), drafter=drafter, max_tokens=60)
        # A tail grows by at least 32 entries, so that a draft may bring the growth forward.
        slack = 32 * one.cache.tail.bytes() // 79
        assert one.cache.tail.bytes() <= plain.cache.tail.bytes() + slack
        assert one.verified is None


def test_drafts_are_charged_and_accepted_tokens_cost_what_plain_ones_do(decoder):
    plain, _ = answer(decoder, tokens_of(20), max_tokens=30)
    right, _ = answer(decoder, tokens_of(20), drafter=Fixed(plain.tokens), max_tokens=30)
    wrong, _ = answer(decoder, tokens_of(20), drafter=Fixed(plain.tokens, 1.0), max_tokens=30)

    assert right.meter.flops == pytest.approx(plain.meter.flops)
    assert right.drafting.flops == pytest.approx(0.0, abs=1e-6 * plain.meter.flops)
    assert wrong.meter.flops == pytest.approx(plain.meter.flops + wrong.drafting.flops)
    assert wrong.drafting.flops > 0
    # One pass reads the weights once, however many rows it verifies.
    assert right.meter.bytes_moved < 0.2 * plain.meter.bytes_moved
