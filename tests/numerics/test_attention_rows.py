from __future__ import annotations

import math

import numpy as np
import pytest

from forethought.numerics.attention_rows import SharpestRows, cosines, row_entropies

RECENCY = (0.5, 0.25)


def layers(seed, tokens=6, prompt=5, heads=3, count=4):
    """Causal attention rows [heads, tokens, prompt + tokens] of several layers."""
    rng = np.random.default_rng(seed)
    found = rng.random((count, heads, tokens, prompt + tokens)) ** 3
    for row in range(tokens):
        found[:, :, row, prompt + row + 1 :] = 0.0
    return found / found.sum(-1, keepdims=True)


def by_loops(rows, keep):
    """The same by loops over single rows, from the published steps."""
    count, heads, tokens, entries = rows.shape
    prompt = entries - tokens
    found = np.zeros((tokens, tokens))
    for token in range(tokens):
        ranked = []
        for layer in range(count):
            for head in range(heads):
                row = [float(one) for one in rows[layer, head, token]]
                place = prompt + token
                row[0] = row[place] = 0.0
                row[place - 2] *= 0.5
                row[place - 1] *= 0.25
                whole = sum(row)
                row = [one / whole for one in row]
                entropy = -sum(one * math.log(one) for one in row if one)
                ranked.append((entropy, row))
        ranked.sort(key=lambda pair: pair[0])
        for other in range(tokens):
            found[token, other] = max(row[prompt + other] for _, row in ranked[:keep])
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("keep", [1, 4, 12])
def test_the_strongest_rows_are_those_of_the_published_steps(seed, keep):
    rows = layers(seed)
    kept = SharpestRows(keep, RECENCY)
    for layer in rows:
        kept.add(0, layer, 6)
    assert kept.strongest(6) == pytest.approx(by_loops(rows, keep), abs=1e-12)


def test_blocks_give_what_one_pass_gives():
    rows = layers(5)
    whole, parts = SharpestRows(4, RECENCY), SharpestRows(4, RECENCY)
    for layer in rows:
        whole.add(0, layer, 6)
    for layer in rows:  # tokens after a block are not there yet
        parts.add(0, layer[:, :4, :9], 4)
    for layer in rows:
        parts.add(4, layer[:, 4:], 6)
    assert parts.strongest(6) == pytest.approx(whole.strongest(6), abs=1e-12)


def test_a_row_without_weight_is_the_least_sharp():
    rows = np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 0.0]])
    assert row_entropies(rows) == pytest.approx([math.inf, math.log(2), 0.0])


def test_cosines_are_those_of_a_loop():
    states = np.random.default_rng(1).normal(size=(4, 7))
    expected = [
        [float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)) for b in states] for a in states
    ]
    assert cosines(states) == pytest.approx(np.array(expected))
    assert (cosines(np.zeros((2, 3))) == 0).all()
