"""KNorm: the keys of the smallest norms, in every layer but the first two."""

import math

import pytest
import torch

from forethought.methods.kv_eviction.knorm import KNorm
from tests.methods.reference import attention_matrices, evicted_row, prompt_of
from tests.tiny import tiny_decoder, tokens_of

LENGTH, KEEP = 40, 9


@pytest.mark.parametrize("seed", range(2))
@torch.inference_mode()
def test_layers_after_the_second_keep_the_shortest_keys(seed):
    decoder, tokens = tiny_decoder(seed=seed), tokens_of(LENGTH)

    _, row = evicted_row(decoder, KNorm(keep=KEEP), prompt_of(tokens))

    assert row.lengths() == (LENGTH, LENGTH, KEEP)
    _, keys, _ = attention_matrices(decoder, tokens)[2]
    for own, held in zip(keys.tolist(), row.head_positions(2, 2), strict=True):
        norms = [math.sqrt(sum(x * x for x in key)) for key in own]
        assert held.tolist() == sorted(sorted(range(LENGTH), key=lambda at: norms[at])[:KEEP])
