"""Attention of drafted trees, beside the same tokens decoded one by one."""

from __future__ import annotations

import itertools

import pytest
import torch

from forethought.contracts.drafts import DraftTree
from forethought.engine.batch_attention import BatchAttention
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import NewTokens
from forethought.models.compiled.available import kernels
from tests.tiny import batch_of, tiny_decoder, tokens_of

TREES = {
    "chain": DraftTree.chain((5, 9, 2)),
    "tree": DraftTree((5, 9, 2, 7, 1, 9, 4), (-1, 0, -1, 2, 1, 2, 5)),
    "siblings": DraftTree((5, 9, 2), (-1, -1, -1)),
}
WIDE = {"hidden_size": 64, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32}


def whole(network):
    row = SequenceCache(3)
    batch_of(network).prefill(row, tokens_of(40))
    return row


def forked(network):
    return whole(network).fork()


def packed(network):
    row = whole(network)
    row.pack(8)
    return row


def cut(network):
    row = whole(network)
    row.keep(1, [torch.arange(0, 30), torch.arange(10, 22)])
    return row


def shortened(network):
    row = SequenceCache(3)
    batch_of(network).prefill(row, tokens_of(12), [*range(0, 18, 3), *range(40, 46)])
    return row


CACHES = (whole, forked, packed, cut, shortened)
NETWORKS = {
    "float64": tiny_decoder,
    "window": lambda: tiny_decoder(model_type="mistral", sliding_window=6),
}


def in_one_pass(network, row, newest, tree):
    """Logits [1 + N, V] of a pass over a tree."""
    new = NewTokens.drafted(row, newest, tree)
    return batch_of(network).forward([new], phase="decode")


def one_by_one(network, make, newest, tree):
    """The same from plain steps along every path."""
    found = []
    for path in ((), *tree.paths):
        row, batch = make(network), batch_of(network)
        for token in (newest, *(tree.tokens[place] for place in path)):
            logits = batch.step([row], [token])
        found.append(logits[0])
    return torch.stack(found)


def test_the_trunk_of_a_tree_ends_where_it_branches():
    assert TREES["chain"].trunk == TREES["chain"]
    assert TREES["tree"].trunk == DraftTree((5, 9), (-1, 0))
    assert TREES["siblings"].trunk == DraftTree((5,), (-1,))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("make", CACHES)
def test_every_row_sees_the_cache_and_its_path_alone(network, tree, make):
    network, tree = NETWORKS[network](), TREES[tree]

    found = in_one_pass(network, make(network), 11, tree)

    expected = one_by_one(network, make, 11, tree)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("tree", "make"),
    [*itertools.product(TREES, (whole, forked)), ("chain", packed), ("chain", cut)],
)
def test_the_compiled_kernels_attend_as_in_plain_steps_bit_for_bit(tree, make):
    if kernels() is None:
        pytest.skip("this machine has no compiler, or a processor without kernels")
    network, tree = tiny_decoder(dtype=torch.bfloat16, scale=0.2, **WIDE), TREES[tree]
    row, other = make(network), make(network)
    queries = torch.randn(1 + len(tree), 6, 32, dtype=torch.bfloat16)
    keys, values = (torch.randn(1 + len(tree), 2, 32, dtype=torch.bfloat16) for _ in range(2))

    found = attended(network, row, tree, queries, keys, values)

    for place, path in enumerate(((), *tree.paths)):
        mark = other.mark()
        for at in (0, *(one + 1 for one in path)):
            step = [part[at : at + 1] for part in (queries, keys, values)]
            expected = attended(network, other, DraftTree(), *step)
        other.rewind(mark)
        assert torch.equal(found[place], expected[0]), place


def attended(network, row, tree, queries, keys, values):
    """A layer's attention of new tokens, which are cached; the tokens get positions."""
    new = NewTokens.drafted(row, 1, tree)
    batch = batch_of(network)
    attend = BatchAttention(network, batch.meter, [new], list(new.place()), None)
    return attend(0, queries, keys, values)
