"""The attention rows that methods see, against attention as its definition says."""

from types import SimpleNamespace

import pytest
import torch

from forethought.contracts.errors import UnsupportedModelError
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.new_tokens import LayerHook
from tests.engine.written_out import future, inputs, plain, shape_of, view_over
from tests.tiny import batch_of, tiny_decoder, tiny_tensors, tokens_of

LENGTH, ENTRIES = 12, 30


@pytest.mark.parametrize("count", [1, 5, LENGTH, LENGTH + 3])
@pytest.mark.parametrize("changes", [{}, {"window": 7}, {"softcap": 2.0}])
def test_window_rows_are_those_of_the_attention(count, changes):
    shape = shape_of(**changes)
    queries, keys, values = inputs(LENGTH, ENTRIES)
    where = torch.arange(ENTRIES)
    hidden = future(LENGTH, ENTRIES)
    if shape.window:
        hidden = hidden | (where[-LENGTH:, None] - where >= shape.window)

    view = view_over(queries, keys, values, shape)
    rows = torch.cat(list(view.window_rows(count)), 2)

    assert rows.shape == (2, 3, min(count, LENGTH), ENTRIES)
    mixed = torch.einsum("kgre,kev->rkgv", rows.double(), values).flatten(1)
    expected = plain(queries, keys, values, shape, hidden)[-count:]
    torch.testing.assert_close(mixed, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reduction", ["max", "sum"])
@pytest.mark.parametrize(
    ("count", "length", "entries"), [(7, 12, 30), (40, 90, 200), (70, 70, 150)]
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_reduced_rows_are_weighted_rows_reduced(reduction, count, length, entries, dtype):
    """In bf16, heads of 64 values and 16 queries or more fit the compiled kernel."""
    charged = []
    queries, keys, values = inputs(length, entries, dim=64, dtype=dtype)
    shape = shape_of()
    view = view_over(queries, keys, values, shape, meter=SimpleNamespace(spend=charged.append))
    weights = [0.0, *torch.linspace(0.2, 1, count - 1).tolist()]

    found = view.window_reduced(weights, reduction)
    spent = sum(charged)
    charged.clear()
    wide = view_over(queries.double(), keys.double(), values.double(), shape, meter=view.meter)
    rows = torch.cat(list(wide.window_rows(count)), 2)

    weighted = rows.double() * torch.tensor(weights)[:, None]
    expected = weighted.amax(2) if reduction == "max" else weighted.sum(2)
    close = {"rtol": 1e-5, "atol": 1e-7} if dtype == torch.float64 else {"rtol": 0.06, "atol": 1e-4}
    torch.testing.assert_close(found.double(), expected, **close)
    assert spent == pytest.approx(sum(charged))


@torch.inference_mode()
def test_a_hook_sees_the_normed_inputs_and_projected_values_of_every_layer():
    decoder, (_, tensors) = tiny_decoder(seed=3), tiny_tensors(seed=3)
    found = []

    def look(view):
        few = torch.tensor([1, 5], device=view.keys.device)
        norms = [view.projected_norms(order, few).cpu() for order in (1, 2)]
        found.append((view.inputs.cpu(), view.queries.cpu(), view.values[:, few].cpu(), norms))

    batch_of(decoder).prefill_whole(SequenceCache(3), tokens_of(9), LayerHook(look, 9))

    embedded = tensors["embed.weight"].double()[tokens_of(9)]
    scaled = embedded / (embedded.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(found[0][0], scaled)
    for layer, (inputs_, queries, values, norms) in enumerate(found):
        weights = tensors[f"layers.{layer}.qkv.weight"].double()[:32]
        # RoPE keeps lengths.
        torch.testing.assert_close(
            (inputs_ @ weights.T).norm(dim=-1), queries.flatten(1).norm(dim=-1)
        )
        out = tensors[f"layers.{layer}.out.weight"].double()
        for head in range(4):
            projected = values[head // 2] @ out[:, 8 * head : 8 * head + 8].T
            for order, own in zip((1, 2), norms, strict=True):
                expected = projected.norm(p=order, dim=-1).float()
                torch.testing.assert_close(own[head // 2, head % 2], expected)


def test_a_view_without_inputs_says_so():
    view = view_over(*inputs(LENGTH, ENTRIES), shape_of())

    with pytest.raises(UnsupportedModelError, match="inputs of attention"):
        _ = view.inputs
