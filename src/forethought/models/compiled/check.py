"""Whether freshly compiled kernels agree with torch, for one row and for several."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from forethought.models.compiled.arguments import Heads, SeenBlocks, Sums
from forethought.models.compiled.kernels import TILE_KEYS, Kernels, NormWeight, matrix
from forethought.models.decoder.quantise import GROUP, Levels, pack_levels, quantise8

_ROWS = 7
_CLOSE = 8e-3  # two roundings to bf16


@torch.inference_mode()
def agrees(kernels: Kernels) -> bool:
    """Whether the kernels compute what torch does, row by row the same."""
    products = (_four_bits, _eight_bits, _eight_bits_of_both, _gates, _layer_of_8_bits)
    attention = (_attention, _prefill, _blocks, _energies, _window)
    return all(part(kernels) for part in (*products, *attention))


def _four_bits(kernels: Kernels) -> bool:
    outputs, inputs = 3 * kernels.block, 4 * GROUP
    levels = Levels(
        _random(outputs, inputs).mul(5).add(8).clamp(0, 15).to(torch.uint8),
        _random(outputs, inputs // GROUP).abs(),
        _random(outputs, inputs // GROUP),
    )
    packed = pack_levels(levels)
    weight, scales = packed["int4"], packed["int4_scales"]
    bias, x = _random(outputs).bfloat16(), _random(_ROWS, inputs).bfloat16()
    made = matrix(weight, scales, bias)
    found = kernels.product4(made, x)
    expected = torch._weight_int4pack_mm_for_cpu(x, weight, GROUP, scales) + bias
    alone = [kernels.product4(made, row[None]) for row in x]
    return _near(found, expected) and torch.equal(found, torch.cat(alone))


def _eight_bits(kernels: Kernels) -> bool:
    outputs, inputs = 77, 4 * GROUP
    eight, x = quantise8(_random(outputs, inputs)), _random(_ROWS, inputs).bfloat16()
    weight, scales = eight["int8"], eight["int8_scales"]
    found = kernels.product8(weight, scales, x)
    expected = torch._weight_int8pack_mm(x, weight, scales)
    alone = [kernels.product8(weight, scales, row[None]) for row in x]
    return _near(found, expected) and torch.equal(found, torch.cat(alone))


def _eight_bits_of_both(kernels: Kernels) -> bool:
    outputs, inputs = 77, 4 * GROUP + 5
    x, sums = _random(_ROWS, inputs).bfloat16(), _random(_ROWS, outputs).mul(9e3).int()
    scales, bias = _random(outputs).bfloat16(), _random(outputs).bfloat16()
    levels, steps = kernels.quantise8(x)
    out = torch.zeros(_ROWS, 2 * outputs, dtype=torch.bfloat16)
    kernels.widen8(Sums(sums, steps, scales, bias), out[:, outputs:])
    expected = sums * steps[:, None] * scales + bias
    whole = torch.equal(out[:, :outputs], torch.zeros(_ROWS, outputs, dtype=torch.bfloat16))
    exact = x.float().abs().amax(1) / 127
    near = (levels * steps[:, None] - x).abs() <= 0.5001 * steps[:, None]
    return (
        whole
        and torch.equal(steps, exact)
        and bool(near.all())
        and _near(out[:, outputs:], expected)
    )


def _gates(kernels: Kernels) -> bool:
    gates, ups = (_random(_ROWS, 64 + n)[:, n:].mul(3e3).int() for n in range(2))
    scales, steps = _random(2, 64).bfloat16(), _random(_ROWS).mul(1e-3)
    found = torch.empty(_ROWS, 64, dtype=torch.bfloat16)
    gate, up = (Sums(s, steps, one) for s, one in zip((gates, ups), scales, strict=True))
    kernels.gate8(gate, up, found)
    wide = [s * steps[:, None] * own for s, own in zip((gates, ups), scales.float(), strict=True)]
    return _near(found, torch.nn.functional.silu(wide[0]) * wide[1])


def _layer_of_8_bits(kernels: Kernels) -> bool:
    """The steps around products in 8 bits: a norm, rotated heads, a residual stream."""
    x, size, turned, rotary = _random(_ROWS, 96).bfloat16(), 3 * kernels.lanes, 2, 2 * kernels.lanes
    weight = _random(96).abs()
    levels, steps = kernels.quantise8(x, NormWeight(weight.data_ptr(), 1, 1e-5))
    normed = torch.nn.functional.rms_norm(x.float(), (96,), weight, 1e-5)
    close = (levels * steps[:, None] - normed).abs() <= 0.8 * steps[:, None]  # bf16 between

    sums = _random(_ROWS, 3 * size).mul(9e3).int()
    scales, bias = _random(3 * size).bfloat16(), _random(3 * size).bfloat16()
    given = Sums(sums, steps, scales, bias)
    wide = sums * steps[:, None] * scales + bias
    stream, out = _random(_ROWS, 3 * size).bfloat16(), torch.empty(_ROWS, 3 * size).bfloat16()
    added = stream.clone()
    kernels.add8(given, 0.5, added)
    cosine, sine = _random(2, _ROWS, rotary).bfloat16()
    kernels.turn8(given, Heads(size, turned), cosine, sine, out)
    heads = wide.view(_ROWS, 3, size).clone()
    own = heads[:, :turned, :rotary]
    own.copy_(own * cosine[:, None] + own.roll(rotary // 2, -1) * sine[:, None])
    turns = _near(out, heads.flatten(1))
    return bool(close.all()) and turns and _near(added, stream + 0.5 * wide)


def _attention(kernels: Kernels) -> bool:
    heads, kv_heads, entries, size = 10, 2, 300, 64
    queries = _random(_ROWS, heads + 2 * kv_heads, size).bfloat16()
    tokens = tuple(torch.split(queries, [heads, kv_heads, kv_heads], 1))
    keys, values = (_random(_ROWS, kv_heads, entries, size).bfloat16() for _ in range(2))
    pieces = [
        (k.data_ptr(), v.data_ptr(), *2 * [entries * size], entries)
        for k, v in zip(keys, values, strict=True)
    ]
    q, k, v = tokens

    def run(rows: slice) -> Tensor:
        own = pieces[rows]
        flat = [number for piece in own for number in piece]
        ends = list(range(1, len(own) + 1))
        return kernels.attend((q[rows], k[rows], v[rows]), 0.125, flat, ends, [entries] * len(own))

    found = run(slice(None))  # which puts the new keys and values in their places
    grouped = q.reshape(_ROWS, kv_heads, heads // kv_heads, size)
    expected = torch.nn.functional.scaled_dot_product_attention(grouped, keys, values, scale=0.125)
    alone = torch.cat([run(slice(i, i + 1)) for i in range(_ROWS)])
    return _near(found, expected.reshape(_ROWS, -1)) and torch.equal(found, alone)


def _prefill(kernels: Kernels) -> bool:
    kv_heads, group, tokens, entries, size = 2, 3, 50, 150, 64
    queries = _random(tokens, kv_heads * group, size).bfloat16()
    keys, values = (_random(kv_heads, entries + n, size)[:, n:].bfloat16() for n in range(2))
    paired = kernels.pair_values(values.contiguous())

    def run(last: int) -> Tensor:
        """The newest tokens, as a prefill that resumes there computes them."""
        mixed = torch.empty(last, kv_heads * group * size, dtype=torch.bfloat16)
        some = queries[tokens - last :]
        kernels.attend_prefill(some, 0.125, keys.contiguous(), paired, entries - last, mixed)
        return mixed

    hidden = torch.arange(entries) > torch.arange(entries - tokens, entries)[:, None]
    grouped = queries.view(tokens, kv_heads, group, size).float() / 8
    scores = torch.einsum("tkgd,ked->ktge", grouped, keys.float())
    weights = scores.masked_fill(hidden[None, :, None], -torch.inf).softmax(-1)
    expected = torch.einsum("ktge,ked->tkgd", weights, values.float()).reshape(tokens, -1)
    found = run(tokens)
    return _near(found, expected) and torch.equal(found[-7:], run(7))


def _blocks(kernels: Kernels) -> bool:
    """Attention over the first and the last block, with a mean key for the one between."""
    entries, size, block = 150, 64, TILE_KEYS
    queries = _random(10, 4, size).bfloat16()
    keys, values = (_random(2, entries + n, size)[:, n:].bfloat16().contiguous() for n in range(2))
    means = [part[:, : 2 * block].view(2, 2, block, size).mean(2) for part in (keys, values)]
    seen = torch.tensor([[[1, 0, 1]], [[0, 1, 1]]], dtype=torch.uint8)
    choice = SeenBlocks(seen, 16 * kernels.lanes, block, means[0], kernels.pair_values(means[1]))
    found = torch.empty(10, 4 * size, dtype=torch.bfloat16)
    paired = kernels.pair_values(values)
    kernels.attend_prefill(queries, 0.125, keys, paired, entries - 10, found, choice)

    grouped = queries.view(10, 2, 2, size).float() / 8
    all_keys, all_values = (
        torch.cat([own, mean], 1).float() for own, mean in zip((keys, values), means, strict=True)
    )
    scores = torch.einsum("tkgd,ked->ktge", grouped, all_keys)
    of_block = seen[:, 0].bool().repeat_interleave(block, 1)[:, :entries]
    visible = torch.cat([of_block, ~seen[:, 0, :2].bool()], 1)[:, None, None]
    later = torch.arange(entries + 2) > torch.arange(entries - 10, entries)[:, None]
    later[:, entries:] = False
    scores[..., entries:] += math.log(block)
    weights = scores.masked_fill(~visible | later[None, :, None], -torch.inf).softmax(-1)
    expected = torch.einsum("ktge,ked->tkgd", weights, all_values).reshape(10, -1)
    return _near(found, expected)


def _energies(kernels: Kernels) -> bool:
    """Two choices: the end of one tile of rows and the start of the next."""
    tokens, first, group, size, block = 40, 100, 2, 64, 20
    alike = 8 * kernels.lanes  # 128 or 64 rows, so that a tile ends at row 256
    queries, means = _random(tokens, 2 * group, size).bfloat16(), _random(2, 7, size).bfloat16()
    found = kernels.block_energies(queries, 0.125, means, first, alike, block)

    grouped = (queries.float() / 8).bfloat16().float().view(tokens, 2, group, size)
    scores = torch.einsum("tkgd,knd->ktgn", grouped, means.float()).flatten(1, 2)
    sees = torch.arange(first, first + tokens).repeat_interleave(group)[:, None]
    scores.masked_fill_(sees < torch.arange(7) * block, -torch.inf)
    parts = []
    for at in range(first * group // alike, -(-(first + tokens) * group // alike)):
        rows = slice(max(0, at * alike - first * group), (at + 1) * alike - first * group)
        whole = torch.arange(7) * block + block <= sees[rows][-1] + 1
        own = scores[:, rows].masked_fill(~whole, -torch.inf)
        parts.append((own - own.amax((1, 2), keepdim=True)).exp().sum(1))
    return len(parts) > 1 and _near(found, torch.stack(parts, 1))


def _window(kernels: Kernels) -> bool:
    """Rows of 70 queries, so that two tiles add to each entry."""
    tokens, group, entries, size = 70, 2, 150, 64
    queries, keys = (
        _random(tokens, 2 * group, size).bfloat16(),
        _random(2, entries, size).bfloat16(),
    )
    weights = torch.linspace(0, 1, tokens)
    grouped = (queries.float() / 8).bfloat16().float().view(tokens, 2, group, size)
    scores = torch.einsum("tkgd,ked->kgte", grouped, keys.float())
    later = torch.arange(entries) > torch.arange(entries - tokens, entries)[:, None]
    rows = scores.masked_fill(later, -torch.inf).softmax(-1) * weights[:, None]
    found = [kernels.window_rows(queries, 0.125, keys, weights, sums) for sums in (False, True)]
    expected = (rows.amax(2), rows.sum(2))
    return all(_near(a, b.flatten(0, 1)) for a, b in zip(found, expected, strict=True))


def _random(*sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(sum(sizes)))


def _near(found: Tensor, expected: Tensor) -> bool:
    off = (found.double() - expected.double()).norm() / expected.double().norm()
    return bool(off < _CLOSE)
