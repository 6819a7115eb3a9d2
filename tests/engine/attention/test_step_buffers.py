import pytest
import torch
from torch import Tensor

from forethought.contracts.records import LayerShape
from forethought.engine.attention.step_buffers import StepBuffers, StepSize, rounded
from forethought.engine.cache.sequence_cache import Segment, SegmentView
from tests.tiny import DEVICE

DTYPE = torch.float64 if DEVICE == "cpu" else torch.float32
"""The fused kernel of a GPU takes no float64."""
SHAPE = LayerShape(heads=6, kv_heads=2, head_dim=8, scale=0.3)


def random(*sizes: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sizes, generator=generator, dtype=torch.float64).to(DEVICE, DTYPE)


def written_out(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of one query [H, D] over k, v [K, E, D], by its definition: [H * D]."""
    out = []
    for head in range(SHAPE.heads):
        own = head // (SHAPE.heads // SHAPE.kv_heads)
        scores = [float(query[head] @ key) * SHAPE.scale for key in keys[own]]
        weights = torch.tensor(scores, dtype=DTYPE).softmax(0)
        out.append(sum(w * v for w, v in zip(weights.tolist(), values[own], strict=True)))
    return torch.cat(out)


def view_of(entries: int, layers: int, seed: int, unseen: int = 0) -> SegmentView:
    segment = Segment.empty(layers)
    for layer, block in enumerate(segment.layers):
        block.append(*random(2, entries, 2, 8, seed=seed + layer), 0)
    segment.positions = list(range(entries))
    return SegmentView(segment, unseen)


@pytest.mark.parametrize("spans", [1, 4])
@pytest.mark.parametrize("prefix", [0, 300])
@pytest.mark.parametrize("own", [[0, 0], [5, 700, 0], [1023]])
def test_each_row_attends_to_its_own_entries_and_the_prefix(
    own: list[int], prefix: int, spans: int
) -> None:
    rows, layers, places = len(own), 2, 1024
    size = StepSize(rows, places, rounded(prefix))
    buffers = StepBuffers(size, layers, SHAPE, random(0, seed=0), spans=spans)
    shared = view_of(prefix + 3, layers, seed=9, unseen=3)
    if prefix:
        buffers.fill_prefix([shared])
    for layer in range(layers):
        for row, length in enumerate(own):
            buffers.keys[layer][:, row, :length] = random(2, length, 8, seed=row + 10 * layer)
            buffers.values[layer][:, row, :length] = random(2, length, 8, seed=row + 99 * layer)
    for row, length in enumerate(own):
        buffers.show(row, [length] * layers)

    slots = torch.tensor([[row * places + length for row, length in enumerate(own)]] * layers)
    buffers.begin(slots.to(DEVICE))
    for layer in range(layers):
        queries, keys, values = (random(rows, n, 8, seed=n + layer) for n in (6, 2, 2))
        found = buffers.attend(layer, queries, keys, values)

        for row, length in enumerate(own):
            mine = [part[layer][:, row, : length + 1] for part in (buffers.keys, buffers.values)]
            assert torch.equal(mine[0][:, -1], keys[row])
            assert torch.equal(mine[1][:, -1], values[row])
            if prefix:
                block = shared.segment.layers[layer].whole
                before = (block.keys[:, :prefix], block.values[:, :prefix])
                mine = [torch.cat(each, 1) for each in zip(before, mine, strict=True)]
            expected = written_out(queries[row], *mine)
            torch.testing.assert_close(found[row].cpu(), expected.cpu(), rtol=1e-4, atol=1e-5)


def test_layers_may_show_different_numbers_of_entries() -> None:
    buffers = StepBuffers(StepSize(1, 256, 0), 2, SHAPE, random(0, seed=0))
    buffers.keys.copy_(random(*buffers.keys.shape, seed=1))
    buffers.values.copy_(random(*buffers.values.shape, seed=2))
    buffers.show(0, [7, 40])
    buffers.begin(torch.tensor([[7], [40]], device=DEVICE))
    for layer, length in enumerate((8, 41)):
        queries, keys, values = (random(1, n, 8, seed=n) for n in (6, 2, 2))

        found = buffers.attend(layer, queries, keys, values)

        seen = [part[layer][:, 0, :length] for part in (buffers.keys, buffers.values)]
        torch.testing.assert_close(
            found[0].cpu(), written_out(queries[0], *seen).cpu(), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("entries", [1, 255, 256, 257, 2000, 3000, 9000, 100_001])
def test_buffers_hold_what_is_asked_and_at_most_a_quarter_more(entries: int) -> None:
    places = rounded(entries)

    assert places % 256 == 0
    assert entries <= places <= max(256 + entries, entries * 1.25)
