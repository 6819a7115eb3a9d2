import torch

from forethought.contracts.records import LayerShape
from forethought.engine.attention import (
    Partial,
    Visibility,
    attend_causal,
    attend_fused,
    attend_piece,
    attend_step,
)
from forethought.engine.cache import Row


def plain(queries, keys, values, shape, hidden):
    """Attention written out, head by head, in float64; hidden [K, T, E]."""
    groups = queries.shape[1] // keys.shape[0]
    out = torch.empty(queries.shape[0], queries.shape[1], values.shape[-1], dtype=torch.float64)
    for head in range(queries.shape[1]):
        k = head // groups
        scores = queries[:, head].double() @ keys[k].double().T * shape.scale
        if shape.softcap:
            scores = shape.softcap * torch.tanh(scores / shape.softcap)
        weights = torch.softmax(scores.masked_fill(hidden[k], -torch.inf), -1)
        out[:, head] = weights @ values[k].double()
    return out.flatten(1)


def inputs(length, entries, heads=6, kv_heads=2, dim=16, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    make = lambda *size: torch.randn(*size, generator=generator).to(dtype)  # noqa: E731
    return make(length, heads, dim), make(kv_heads, entries, dim), make(kv_heads, entries, dim)


def future(length, entries, kv_heads=2):
    hidden = torch.ones(length, entries).triu(entries - length + 1).bool()
    return hidden.expand(kv_heads, -1, -1)


def shape_of(**changes):
    return LayerShape(heads=6, kv_heads=2, head_dim=16, scale=0.4, **changes)


def test_blocks_of_queries_equal_attention_written_out():
    for length, entries in ((1, 1), (7, 7), (300, 300), (5, 40), (200, 333)):
        queries, keys, values = inputs(length, entries)

        out = attend_causal(queries, keys, values, shape_of(), Visibility())

        expected = plain(queries, keys, values, shape_of(), future(length, entries))
        torch.testing.assert_close(out, expected)


def test_bfloat16_blocks_stay_close_to_exact():
    queries, keys, values = inputs(300, 300, dtype=torch.bfloat16)

    out = attend_causal(queries, keys, values, shape_of(), Visibility())

    expected = plain(queries, keys, values, shape_of(), future(300, 300))
    # Scores and weights are rounded to 8 bits each; values are of order one.
    assert (out.double() - expected).abs().max() < 0.03


def test_a_window_hides_what_is_too_old_by_position_not_by_index():
    queries, keys, values = inputs(40, 60)
    positions = torch.cat([torch.arange(0, 60, 3), torch.arange(60, 100)])

    out = attend_causal(
        queries, keys, values, shape_of(window=25), Visibility(25, positions[20:], positions)
    )

    far = positions[20:, None] - positions >= 25
    expected = plain(queries, keys, values, shape_of(), future(40, 60) | far)
    torch.testing.assert_close(out, expected)


def test_softcap_squashes_scores():
    queries, keys, values = inputs(50, 50)
    shape = shape_of(softcap=1.5)

    out = attend_causal(queries, keys, values, shape, Visibility())

    torch.testing.assert_close(out, plain(queries, keys, values, shape, future(50, 50)))


def test_the_fused_kernel_gives_the_same():
    queries, keys, values = inputs(30, 75)

    out = attend_fused(queries, keys, values, shape_of())

    expected = attend_causal(queries, keys, values, shape_of(), Visibility())
    torch.testing.assert_close(out, expected)


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


def test_a_step_of_many_rows_gives_each_the_bits_it_gets_alone():
    rows, queries = [], inputs(5, 1, dtype=torch.bfloat16)[0]
    prefix = Row(1)
    prefix.append(0, *(t.transpose(0, 1) for t in inputs(1, 70, seed=1, dtype=torch.bfloat16)[1:]))
    for seed in range(5):
        row = prefix.fork()
        tail = inputs(1, 9, seed=10 + seed, dtype=torch.bfloat16)[1:]
        row.append(0, *(t.transpose(0, 1) for t in tail))
        rows.append(row)

    together = attend_step(queries, rows, 0, shape_of())

    for i, row in enumerate(rows):
        assert torch.equal(attend_step(queries[i : i + 1], [row], 0, shape_of())[0], together[i])


def test_a_piece_of_which_nothing_is_visible_adds_nothing():
    queries, keys, values = inputs(1, 8)
    packed = queries.unflatten(1, (2, -1)).transpose(0, 1).flatten(1, 2)
    seen = attend_piece(packed, keys, values, shape_of(), None)

    none = attend_piece(packed, keys, values, shape_of(), torch.ones(1, 3, 8, dtype=torch.bool))
    merged = seen.merged(Partial(none.mixed.nan_to_num(), none.weight))

    torch.testing.assert_close(merged.mixed, seen.mixed)
