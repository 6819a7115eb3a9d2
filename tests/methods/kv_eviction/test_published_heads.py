"""Ada-SnapKV against loops over whole attention matrices, as the authors' code counts."""

from __future__ import annotations

import pytest
import torch

from forethought.methods.kv_eviction.ada_snapkv import AdaSnapKV
from tests.methods.reference import attention_matrices, evicted_row, prompt_of
from tests.tiny import tiny_decoder, tokens_of

LENGTH, KEEP, WINDOW, KERNEL = 60, 24, 6, 7


def pooled_means(attention, head):
    """Scores of one key head in float64: mean over its group and the window, then max pooling."""
    until = LENGTH - WINDOW
    means = []
    for entry in range(until):
        seen = [
            float(attention[query_head, query, entry])
            for query_head in (2 * head, 2 * head + 1)
            for query in range(until, LENGTH)
        ]
        means.append(sum(seen) / len(seen))
    half = KERNEL // 2
    return [max(means[max(0, at - half) : at + half + 1]) for at in range(until)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("alpha", [0.2, 0.5])
def test_heads_keep_as_many_entries_as_the_published_steps(seed, alpha):
    decoder, tokens = tiny_decoder(seed=seed), tokens_of(LENGTH)
    each = KEEP - WINDOW
    method = AdaSnapKV(keep=KEEP, window=WINDOW, alpha=alpha)
    with torch.inference_mode():
        _, row = evicted_row(decoder, method, prompt_of(tokens))
        matrices = attention_matrices(decoder, tokens)

    for layer, (attention, _, _) in zip(row.tail.layers, matrices, strict=True):
        scores = [pooled_means(attention, head) for head in range(2)]
        ranked = sorted(
            (-scores[head][at], at, head) for head in range(2) for at in range(len(scores[head]))
        )[: 2 * each]
        floor = int(each * alpha)
        won = [sum(head == own for _, _, own in ranked) for head in range(2)]
        # Half to even, as the code's tensors are rounded.
        counts = [round(count * (1 - alpha) + floor) for count in won]
        for head, kept in enumerate(layer.kept):
            best = sorted(range(LENGTH - WINDOW), key=lambda at: (-scores[head][at], at))
            expected = [*sorted(best[: counts[head]]), *range(LENGTH - WINDOW, LENGTH)]
            assert kept.tolist() == expected
