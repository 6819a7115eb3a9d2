import pytest
import torch
from torch import Tensor

from forethought.engine.attention import masked_batch
from forethought.engine.attention.decode import attend_step
from forethought.engine.attention.masked_batch import attend_jointly, fits
from forethought.engine.cache.sequence_cache import SequenceCache
from tests.engine.written_out import inputs, shape_of


def some(entries: int, seed: int) -> tuple[Tensor, Tensor]:
    keys, values = (part.transpose(0, 1) for part in inputs(1, entries, seed=seed)[1:])
    return keys, values


def rows_that_share(prefixes: list[int], own: list[int]) -> list[SequenceCache]:
    """Rows behind prefixes of these lengths in turns, each with its own entries."""
    shared = [SequenceCache(1) for _ in prefixes]
    for seed, (row, length) in enumerate(zip(shared, prefixes, strict=True)):
        if length:
            row.append(0, *some(length, seed))
            row.place(range(length))
    rows = [shared[i % len(shared)].fork() for i in range(len(own))]
    for seed, (row, length) in enumerate(zip(rows, own, strict=True), 50):
        row.append(0, *some(length, seed))
        row.place(range(row.next, row.next + length))
    return rows


@pytest.mark.parametrize("most", [1, 1 << 23])
@pytest.mark.parametrize(
    ("prefixes", "own"),
    [([40], [3, 3, 3]), ([40, 17], [1, 9, 30, 2, 5]), ([0], [4, 7]), ([33], [6]), ([0], [21])],
)
def test_every_row_attends_to_its_own_entries_and_no_others(
    prefixes: list[int], own: list[int], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masked_batch, "_MOST_PAIRS", most)
    rows = rows_that_share(prefixes, own)
    queries = inputs(len(rows), 1)[0]

    found = attend_jointly(queries, rows, 0, shape_of())

    torch.testing.assert_close(found, attend_step(queries, rows, 0, shape_of()))


def test_what_a_view_leaves_out_is_hidden() -> None:
    (row,) = rows_that_share([30], [5])
    row.freeze()
    rows = [row.before(12), row.before(33), row.fork()]
    for seed, one in enumerate(rows):
        one.append(0, *some(1, 80 + seed))
        one.advance(1)
    queries = inputs(3, 1)[0]

    found = attend_jointly(queries, rows, 0, shape_of())

    torch.testing.assert_close(found, attend_step(queries, rows, 0, shape_of()))


def test_windows_and_heads_that_differ_are_left_to_others() -> None:
    rows = rows_that_share([9], [2, 2])
    assert fits(rows, 0, shape_of())
    assert not fits(rows, 0, shape_of(window=4))
    assert not fits(rows, 0, shape_of(softcap=5.0))
    rows[0].keep(0, [torch.tensor([0]), torch.tensor([0, 1])])
    assert not fits(rows, 0, shape_of())
