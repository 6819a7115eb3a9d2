"""Drafted tokens: a pass verifies them, and no answer changes."""

from __future__ import annotations

import random

import pytest
import torch

from forethought.contracts.drafts import ROOT, DraftTree
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.drafting import Drafting
from forethought.engine.sampling import SamplingParams
from forethought.engine.scheduler import Scheduler
from forethought.engine.sequence import Sequence, SequenceStart
from tests.tiny import SIZES, batch_of, tiny_decoder, tokens_of

VOCABULARY = SIZES["vocab_size"]


class Fixed:
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


class Noise:
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
