"""CriticalKV: half of the entries by attention, the others by attention times projected values."""

import math

import pytest
import torch

from forethought.methods.kv_eviction.allocation import LayerRoom
from forethought.methods.kv_eviction.allocation.adaptive import AdaptiveAllocation
from forethought.methods.kv_eviction.criticalkv import CriticalKV
from forethought.methods.kv_eviction.snapkv import SnapKV
from tests.methods.reference import attention_matrices, evicted_row, prompt_of, seen_layer
from tests.tiny import tiny_decoder, tiny_tensors, tokens_of

LENGTH, WINDOW, KERNEL = 40, 4, 3
SETTINGS = {"window": WINDOW, "kernel": KERNEL}


def layer(seed, **more):
    draw = torch.Generator().manual_seed(100 + seed)
    out = torch.randn(4, 8, 12, generator=draw) * torch.rand(4, 8, 1, generator=draw) * 3
    view = seen_layer(seed, LENGTH, out=out, **more)
    view.values *= torch.rand(2, LENGTH, 1, generator=draw) * 4
    return view


def window_means(rows):
    """Pooled means of window rows [G, W, E] of a key head."""
    until = LENGTH - WINDOW
    means = [float(rows[..., j].double().mean()) for j in range(until)]
    half = KERNEL // 2
    near = [[means[i] for i in range(j - half, j + half + 1) if 0 <= i < until]
            for j in range(until)]  # fmt: skip
    return [sum(part) / KERNEL for part in near]


def two_stages(scores, norms, count, epsilon=1e-4):
    """The `count` entries of a head that two stages choose; the first has the window too."""
    half = max(0, (count + WINDOW) // 2 - WINDOW)
    first = sorted(range(len(scores)), key=lambda j: -scores[j])[:half]
    rest = [j for j in range(len(scores)) if j not in first]
    best = sorted(rest, key=lambda j: -(scores[j] + epsilon) * norms[j])
    return [*first, *best[: count - len(first)]]


def l1_norms(values, weights):
    """The mean L1 norm over a group's projections, of each value of a key head."""
    found = []
    for value in values.double():
        sizes = [float((value @ own.double()).abs().sum()) for own in weights]
        found.append(sum(sizes) / len(sizes))
    return found


def expected(view, k, count, epsilon=1e-4):
    scores = window_means(next(view.window_rows(WINDOW))[k])
    norms = l1_norms(view.values[k], view.out[2 * k : 2 * k + 2])
    return sorted([*two_stages(scores, norms, count, epsilon), *range(LENGTH - WINDOW, LENGTH)])


@pytest.mark.parametrize("keep", [6, 13, 30])
@pytest.mark.parametrize("seed", range(3))
def test_half_is_chosen_by_attention_and_half_by_its_product_with_the_norms(seed, keep):
    view = layer(seed)

    kept = CriticalKV(keep=keep, **SETTINGS).on_layer(view)

    assert [head.tolist() for head in kept] == [expected(view, k, keep - WINDOW) for k in (0, 1)]


def test_the_published_choice_keeps_the_window_by_its_score_alone():
    """kvpress's form: one list of scores, of which the window has the highest."""
    view, keep = layer(4), 13

    kept = CriticalKV(keep=keep, protect=False, **SETTINGS).on_layer(view)

    for k in (0, 1):
        before = window_means(next(view.window_rows(WINDOW))[k])
        scores = [*before, *[max(before) + 1] * WINDOW]
        norms = l1_norms(view.values[k], view.out[2 * k : 2 * k + 2])
        first = sorted(range(LENGTH), key=lambda j: -scores[j])[: int(keep * 0.5)]
        weighed = [(scores[j] + 1e-4) * norms[j] for j in range(LENGTH)]
        best = sorted(range(LENGTH), key=lambda j: -math.inf if j in first else -weighed[j])[:keep]
        assert kept[k].tolist() == sorted(best)


def test_epsilon_is_added_before_the_product():
    view = layer(2)

    kept = CriticalKV(keep=13, epsilon=0.2, **SETTINGS).on_layer(view)

    assert [head.tolist() for head in kept] == [expected(view, k, 9, 0.2) for k in (0, 1)]
    assert expected(view, 0, 9, 0.2) != expected(view, 0, 9)


def test_heads_with_budgets_of_their_own_split_them_in_half():
    view = layer(5)
    view.keys[1] *= 0.2  # attends evenly
    scores = torch.tensor([window_means(rows) for rows in next(view.window_rows(WINDOW))])
    room = LayerRoom(0, 1, 12, LENGTH - WINDOW, scores)
    counts = AdaptiveAllocation(0.2).counts([room])[0]

    kept = CriticalKV(keep=12 + WINDOW, alpha=0.2, **SETTINGS).on_layer(view)

    assert counts[0] != counts[1]
    assert [head.tolist() for head in kept] == [expected(view, k, counts[k]) for k in (0, 1)]


def test_projections_of_equal_norm_are_snapkv():
    view = layer(1)
    view.values[:] = view.values[0, 0]

    kept = CriticalKV(keep=14, epsilon=0.0, **SETTINGS).on_layer(view)

    plain = SnapKV(keep=14, **SETTINGS).on_layer(view)
    assert [head.tolist() for head in kept] == [head.tolist() for head in plain]


def test_a_first_share_of_all_is_snapkv_and_projects_nothing():
    view = layer(1)
    view.out = None

    kept = CriticalKV(keep=14, first_share=1.0, **SETTINGS).on_layer(view)

    plain = SnapKV(keep=14, **SETTINGS).on_layer(view)
    assert [head.tolist() for head in kept] == [head.tolist() for head in plain]


@torch.inference_mode()
def test_a_real_decoder_is_charged_for_the_projection_of_its_own_weights():
    decoder, tokens = tiny_decoder(seed=3), tokens_of(LENGTH)
    _, tensors = tiny_tensors(seed=3)

    batch, row = evicted_row(decoder, CriticalKV(keep=15, **SETTINGS), prompt_of(tokens))
    plain, _ = evicted_row(decoder, SnapKV(keep=15, **SETTINGS), prompt_of(tokens))

    for n, (attention, _, values) in enumerate(attention_matrices(decoder, tokens)):
        weights = tensors[f"layers.{n}.out.weight"].double().view(32, 4, 8).permute(1, 2, 0)
        for k in range(2):
            scores = window_means(attention[2 * k : 2 * k + 2, -WINDOW:].cpu())
            norms = l1_norms(values[k].cpu(), weights[2 * k : 2 * k + 2])
            best = two_stages(scores, norms, 15 - WINDOW)
            kept = row.tail.layers[n].kept[k].tolist()
            assert kept == sorted([*best, *range(LENGTH - WINDOW, LENGTH)])
    # Every layer's weights [32, 32] meet their own 32 axes and 40 values.
    assert batch.meter.flops - plain.meter.flops == 3 * 2 * 32 * 32 * (32 + LENGTH)
