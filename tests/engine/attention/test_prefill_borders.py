"""Blocks of prefill attention: borders and widths depend on the place in the sequence alone."""

import pytest
import torch

from forethought.contracts.records import LayerShape
from forethought.engine.attention import prefill

SHAPE = LayerShape(heads=6, kv_heads=2, head_dim=8, scale=0.35)


@pytest.mark.parametrize("entries", [1, 90, 700, 4096, 4500, 9000])
@pytest.mark.parametrize("first", [0, 1, 63, 100, 512, 2048, 4100])
def test_a_prefill_that_continues_entries_has_the_borders_of_a_whole_one(entries, first):
    if first >= entries:
        return
    groups, itemsize = 3, 2
    whole = {one.stop for one in prefill._blocks(entries, groups, entries, itemsize)}
    rest = list(prefill._blocks(entries - first, groups, entries, itemsize))
    assert {first + one.stop for one in rest} == {stop for stop in whole if stop > first}
    assert rest[0].start == 0
    assert [one.start for one in rest[1:]] == [one.stop for one in rest[:-1]]


def test_chunks_of_2048_tokens_end_at_borders():
    whole = {one.stop for one in prefill._blocks(20_000, 3, 20_000, 2)}
    assert set(range(2048, 20_000, 2048)) <= whole


@pytest.mark.parametrize("first", [0, 17, 100, 256])
def test_the_width_of_every_block_is_that_of_a_whole_prefill(first, monkeypatch):
    """The sums of a row must not depend on how many entries follow it."""
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(2, 300, 8, generator=generator, dtype=torch.float64) for _ in range(2)]
    queries = torch.randn(300, 6, 8, generator=generator, dtype=torch.float64)
    widths, softmax = [], torch.softmax
    monkeypatch.setattr(
        torch,
        "softmax",
        lambda held, *a, **k: widths.append(held.shape[1]) or softmax(held, *a, **k),
    )
    sight = prefill.Visibility()
    whole = prefill.attend_causal(queries, *drawn, SHAPE, sight)
    assert set(widths) == {256, 512}
    widths.clear()
    rest = prefill.attend_causal(queries[first:], *drawn, SHAPE, sight)
    assert set(widths) <= {256, 512}
    torch.testing.assert_close(rest, whole[first:])
