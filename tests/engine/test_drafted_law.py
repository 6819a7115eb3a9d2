"""Sampled answers with drafts follow the law of the target, token for token."""

from __future__ import annotations

import itertools
from collections import Counter
from math import prod

import pytest
import torch

from forethought.contracts.drafts import ROOT, DraftTree, TokenDrafter
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.drafting import Drafting
from forethought.engine.sampling import Choice, SamplingParams, choose
from forethought.engine.scheduler import Scheduler
from forethought.engine.sequence import Sequence, SequenceStart
from tests.tiny import batch_of, fresh_logits, tiny_decoder

VOCABULARY, LENGTH, PROMPT = 3, 3, [0, 2, 1]
RUNS = 24_000
"""So many draws of the law itself are 0.007 from it on average, and seldom more than 0.01."""
TOGETHER = 400
SAMPLING = SamplingParams(temperature=0.4)


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder(vocab_size=VOCABULARY, num_hidden_layers=1, dtype=torch.float32)


class SameNumbers(TokenDrafter):
    """Draws a chain from a law of its own with the numbers of the target, as `draft-model`."""

    def __init__(self, stream):
        self.stream = stream

    def draft(self, tokens, most):
        rows = torch.tensor([[0.9, 0.3, 0.0], [0.0, 0.8, 0.5], [0.4, 0.0, 0.6]])
        newest, found = tokens[-1], []
        for place in range(len(tokens), len(tokens) + most):
            newest = choose(rows[newest], SAMPLING, self.stream, place).token
            found.append(newest)
        return DraftTree.chain(found)


class Branches(TokenDrafter):
    """Drafts two of the three tokens, and two behind the first of these."""

    def __init__(self, stream):
        self.first = stream % VOCABULARY

    def draft(self, tokens, most):
        other = (self.first + 1) % VOCABULARY
        return DraftTree((self.first, other, other, self.first), (ROOT, ROOT, 0, 0)).first(most)


def law(decoder):
    """The probability of each answer, by enumeration."""

    def chances(before):
        return (fresh_logits(decoder, [*PROMPT, *before]) / SAMPLING.temperature).softmax(0)

    known = {
        before: chances(before).tolist()
        for length in range(LENGTH)
        for before in itertools.product(range(VOCABULARY), repeat=length)
    }
    return {
        answer: prod(known[answer[:at]][token] for at, token in enumerate(answer))
        for answer in itertools.product(range(VOCABULARY), repeat=LENGTH)
    }


def answers(decoder, drafter, streams):
    batch, cache = batch_of(decoder), SequenceCache(len(decoder.shape.layers))
    logits, scheduler = batch.prefill(cache, PROMPT), Scheduler(lambda: 0.0)
    sequences = [
        Sequence(
            decoder,
            batch.meter,
            lambda: SequenceStart(cache.fork(), logits),
            sampling=SAMPLING,
            stream=stream,
            max_tokens=LENGTH,
            drafting=Drafting(drafter(stream), decoder.shape),
        )
        for stream in streams
    ]
    for one in sequences:
        scheduler.add(one)
    while not scheduler.idle:
        scheduler.step()
    return [tuple(one.tokens) for one in sequences], batch.meter.tokens


@pytest.mark.slow
@pytest.mark.parametrize("drafter", [SameNumbers, Branches])
def test_the_law_of_sampled_answers_is_that_of_the_target(decoder, drafter):
    seen, accepted = Counter(), 0
    for start in range(0, RUNS, TOGETHER):
        found, counts = answers(decoder, drafter, range(start, start + TOGETHER))
        seen.update(found)
        accepted += counts["accepted"]

    expected = law(decoder)
    variation = sum(abs(seen[one] / RUNS - chance) for one, chance in expected.items()) / 2
    assert sum(seen.values()) == RUNS
    assert accepted > RUNS / 8
    assert variation < 0.01


def test_equal_numbers_are_those_of_the_sequence():
    """What the drafter above assumes of the engine."""
    choice = Choice(SAMPLING, 3, 2)

    assert choice.uniform() == Choice(SAMPLING, 3, 2).uniform() != Choice(SAMPLING, 3, 1).uniform()
