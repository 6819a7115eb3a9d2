from collections.abc import Iterator

import pytest
import torch

from forethought.contracts.records import LayerShape
from forethought.engine.attention.decode import Partial, _joined, attend_piece, attend_step
from forethought.engine.cache.sequence_cache import SequenceCache
from tests.engine.written_out import inputs, shape_of


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_pieces_merged_by_log_sum_exp_equal_the_whole():
    queries, keys, values = inputs(3, 50)
    packed = queries.unflatten(1, (2, -1)).transpose(0, 1).flatten(1, 2)
    whole = attend_piece(packed, keys, values, shape_of(), None)

    parts = [
        attend_piece(packed, keys[:, a:b], values[:, a:b], shape_of(), None)
        for a, b in ((0, 1), (1, 30), (30, 50))
    ]
    merged = parts[0].merged(parts[1]).merged(parts[2])

    torch.testing.assert_close(merged.mixed, whole.mixed)
    torch.testing.assert_close(merged.weight.double(), whole.weight.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("entries", [255, 512, 513, 1031])
def test_entries_split_among_threads_count_once(heads: int, entries: int) -> None:
    queries, keys, values = inputs(1, entries, heads=3 * heads, kv_heads=heads)
    queries = queries.view(heads, 3, -1)
    shape = LayerShape(heads=3 * heads, kv_heads=heads, head_dim=16, scale=0.4)

    piece = attend_piece(queries, keys, values, shape, None)

    scores = torch.matmul(queries, keys.transpose(1, 2)) * 0.4
    torch.testing.assert_close(piece.mixed, torch.softmax(scores, -1) @ values)
    torch.testing.assert_close(piece.weight.double(), scores.logsumexp(-1))


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_a_thread_that_leaves_for_a_neighbour_changes_no_bit(heads: int) -> None:
    queries, keys, values = inputs(1, 1031, heads=3 * heads, kv_heads=heads, dtype=torch.bfloat16)
    queries = queries.view(heads, 3, -1)
    shape = LayerShape(heads=3 * heads, kv_heads=heads, head_dim=16, scale=0.4)

    both = attend_piece(queries, keys, values, shape, None)
    torch.set_num_threads(1)
    one = attend_piece(queries, keys, values, shape, None)

    assert torch.equal(one.mixed, both.mixed)
    assert torch.equal(one.weight, both.weight)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("shared", "own"), [(70, 9), (0, 9), (0, 700), (700, 1)])
def test_a_step_of_many_rows_gives_each_the_bits_it_gets_alone(shared: int, own: int) -> None:
    def some(entries: int, seed: int) -> list[torch.Tensor]:
        made = inputs(1, entries, heads=9, kv_heads=3, seed=seed, dtype=torch.bfloat16)[1:]
        return [tensor.transpose(0, 1) for tensor in made]

    shape = LayerShape(heads=9, kv_heads=3, head_dim=16, scale=0.4)
    queries = inputs(5, 1, heads=9, kv_heads=3, dtype=torch.bfloat16)[0]
    prefix = SequenceCache(1)
    if shared:
        prefix.append(0, *some(shared, 1))
    rows = [prefix.fork() for _ in range(5)]
    for seed, row in enumerate(rows, 10):
        row.append(0, *some(own, seed))

    together = attend_step(queries, rows, 0, shape)

    for i, row in enumerate(rows):
        assert torch.equal(attend_step(queries[i : i + 1], [row], 0, shape)[0], together[i])


def test_a_piece_of_which_nothing_is_visible_adds_nothing():
    queries, keys, values = inputs(1, 8)
    packed = queries.unflatten(1, (2, -1)).transpose(0, 1).flatten(1, 2)
    seen = attend_piece(packed, keys, values, shape_of(), None)

    none = attend_piece(packed, keys, values, shape_of(), torch.ones(1, 3, 8, dtype=torch.bool))
    merged = seen.merged(Partial(none.mixed.nan_to_num(), none.weight))

    torch.testing.assert_close(merged.mixed, seen.mixed)


@pytest.mark.parametrize("count", [9, 18, 27, 54])
def test_spans_merge_to_the_same_bits_for_any_number_of_queries(count: int) -> None:
    """The company of a row decides how many queries are merged together."""
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn((2, 3, count, 16), generator=generator)
    weight = 4 * torch.randn((2, count, 3), generator=generator)

    together = _joined(mixed, weight.transpose(1, 2))  # in the kernel's layout

    for first in range(0, count - 5, 3):
        own = slice(first, first + 6)
        alone = _joined(mixed[:, :, own].contiguous(), weight[:, own].clone().transpose(1, 2))
        assert torch.equal(together[:, own], alone)
