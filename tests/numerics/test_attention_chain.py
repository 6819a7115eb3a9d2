from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from forethought.numerics.attention_chain import (
    ChainRules,
    Swap,
    attention_chain,
    nearest,
    swaps,
)


def pointing(path, tokens):
    """Attention in which each token of a path looks only at the next one of it."""
    found = np.zeros((tokens, tokens))
    for token, seen in pairwise(path):
        found[token - 1, seen] = 1.0
    return found


def seen_from(weights, source, scores, skipped, satisfied):
    """Add the attention of one source index to the shared scores."""
    row = [(-float(weight), place) for place, weight in enumerate(weights[source])]
    for rank, (negative, place) in enumerate(sorted(row)):
        if (rank >= 5 and (any(scores) or satisfied)) or not negative:
            return
        if not skipped(place):
            scores[place] -= negative


def by_steps(weights, answer, idle, width, threshold, least):
    """The chain by the published steps, in source indices and without shared code."""
    total = len(weights)
    processed = {token - 1 for token in answer}
    chain, frontier = [], [token - 1 for token in answer]
    while frontier:
        scores, satisfied = [0.0] * total, len(chain) >= least
        for source in frontier:
            if source >= 0:
                taken = set(processed)
                seen_from(
                    weights,
                    source,
                    scores,
                    lambda n, taken=taken: n - 1 in taken or idle[n],
                    satisfied,
                )
        order = sorted(range(total), key=lambda place: (-scores[place], place))
        frontier = []
        for place in [one for one in order if scores[one] > 0][:width]:
            if scores[place] < threshold and len(chain) >= least:
                break
            frontier.append(place - 1)
            chain.append(place)
        processed |= set(frontier)
    return chain


def test_a_chain_is_the_path_of_attention():
    path = [9, 6, 4, 1]
    assert attention_chain(pointing(path, 10), [9], [False] * 10, ChainRules()) == path[1:]


@pytest.mark.parametrize("seed", range(20))
def test_chains_are_those_of_the_published_steps(seed):
    rng = np.random.default_rng(seed)
    weights = np.tril(rng.random((24, 24)) ** 4, -1)
    idle = [bool(one) for one in rng.random(24) < 0.3]
    rules = ChainRules(width=int(rng.integers(1, 4)), threshold=0.6, least=int(rng.integers(0, 6)))
    expected = by_steps(weights, [22, 23], idle, rules.width, rules.threshold, rules.least)
    assert attention_chain(weights, [22, 23], idle, rules) == expected


def test_a_chain_that_is_long_enough_considers_only_the_five_strongest():
    weights, idle = np.zeros((10, 10)), [False] * 10
    weights[8, :6] = [0.5, 0.9, 0.9, 0.9, 0.9, 0.9]
    idle[1:6] = [True] * 5
    assert attention_chain(weights, [9], idle, ChainRules(threshold=0.1, least=1)) == [0]
    assert attention_chain(weights, [9], idle, ChainRules(threshold=0.1, least=0)) == []


def test_idle_tokens_and_the_answer_are_never_in_a_chain():
    weights = np.tril(np.ones((12, 12)), -1)
    idle = [place % 2 == 0 for place in range(12)]
    found = attention_chain(weights, [10, 11], idle, ChainRules())
    assert found
    assert not any(idle[place] or place in (10, 11) for place in found)


def test_the_tokens_nearest_to_the_answer_stay_in_order_of_the_text():
    similarity = np.zeros((5, 5))
    similarity[:, 4] = [0.2, -0.1, 0.9, 0.5, 1.0]
    assert nearest(similarity, [2, 0, 1, 3], [4], count=2) == [2, 3]
    assert nearest(similarity, [2, 0, 1, 3], [4], count=9) == [0, 2, 3]


def test_swaps_are_the_likeliest_alternatives():
    top = [
        [(7, math.log(0.9)), (8, math.log(0.09)), (9, math.log(0.005))],
        [(5, math.log(0.6)), (6, math.log(0.4))],
    ]
    assert swaps(top, [7, 5], [0, 1], count=9, least=0.01) == [Swap(1, 6), Swap(0, 8)]
    # The text's own tokens count towards the number that is tried.
    assert swaps(top, [7, 5], [0, 1], count=3, least=0.01) == [Swap(1, 6)]
    assert swaps(top, [7, 5], [0], count=9, least=0.1) == []
