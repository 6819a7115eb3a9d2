"""FLOPs and bytes of a forward pass, counted from the model's shape."""

from __future__ import annotations

from forethought.contracts.records import LayerShape, ModelShape
from forethought.contracts.score_work import LayerSizes

_SCORE_BYTES = 2 << 20


def forward_flops(
    shape: ModelShape, tokens: int, keys: list[float], logits: int, layers: int | None = None
) -> float:
    """FLOPs of a forward pass over `tokens`, with keys[i] query-key pairs in layer i.

    A multiply-add counts as two; `logits` rows pass the output head.
    """
    used = shape.layers[:layers]
    products = 2.0 * shape.layer_parameters * tokens * len(used)
    attention = sum(attention_flops(*pair) for pair in zip(used, keys, strict=False))
    return products + attention + 2.0 * shape.head_parameters * logits


def attention_flops(layer: LayerShape, pairs: float) -> float:
    """FLOPs of attention scores and weighted values for these query-key pairs in one layer."""
    return 4.0 * layer.heads * layer.head_dim * pairs


def rows_flops(shape: ModelShape, entries: int, queries: int) -> float:
    """FLOPs of attention scores, without values, of `queries` over `entries` in every layer."""
    return sum(attention_flops(layer, float(entries * queries)) / 2 for layer in shape.layers)


def projected_flops(layer: LayerSizes, entries: int) -> float:
    """FLOPs of the values of so many entries, each after the output projection of every head.

    The weights are unpacked by a product with the identity.
    """
    wide = layer.shape.heads * layer.shape.head_dim
    return 2.0 * wide * layer.hidden * (wide + entries)


def rows_at_once(heads: int, entries: int) -> int:
    """Queries whose attention probabilities are computed at once for scores.

    Their probabilities stay in the last-level cache.
    """
    return max(16, _SCORE_BYTES // (4 * heads * max(1, entries)))


def window_pairs(heads: int, entries: int, queries: int, beyond: int = 0) -> int:
    """Query-key pairs that scores of the newest `queries` over so many entries compute.

    Each block of queries is multiplied with all keys up to its last query. The newest `beyond`
    queries have no entries of their own.
    """
    end = entries + beyond
    first = max(0, end - queries)
    size = rows_at_once(heads, entries)
    stops = [min(start + size, end) for start in range(first, end, size)]
    return sum(
        (stop - start) * min(stop, entries)
        for start, stop in zip([first, *stops], stops, strict=False)
    )


def row_flops(layer: LayerShape, entries: int, queries: int, beyond: int = 0) -> float:
    """FLOPs of attention rows, without values, of the newest `queries` in one layer."""
    return attention_flops(layer, window_pairs(layer.heads, entries, queries, beyond)) / 2


def causal_pairs(past: float, tokens: int, window: int | None = None) -> float:
    """Query-key pairs of `tokens` new tokens after `past` entries, under a causal mask."""
    if window is None or past + tokens <= window:
        return tokens * past + tokens * (tokens + 1) // 2
    full = max(0.0, min(tokens, past + tokens - window))  # queries with a full window
    growing = tokens - full
    return growing * past + growing * (growing + 1) // 2 + full * window


def prefill_flops(shape: ModelShape, tokens: int, layers: int | None = None) -> float:
    """FLOPs of the prefill of `tokens`, with one row of logits.

    A prefill that stops after `layers` layers computes neither logits nor the last attention.
    """
    attended = shape.layers if layers is None else shape.layers[: layers - 1]
    keys = [causal_pairs(0, tokens, layer.window) for layer in attended]
    return forward_flops(shape, tokens, keys, logits=1 if layers is None else 0, layers=layers)


def answer_flops(shape: ModelShape, prompt: int, tokens: int) -> float:
    """FLOPs of decoding `tokens` after a prompt of `prompt` entries."""
    keys = [causal_pairs(prompt, tokens, layer.window) for layer in shape.layers]
    return forward_flops(shape, tokens, keys, logits=tokens)


def entry_bytes(shape: ModelShape, itemsize: int = 2) -> int:
    """Bytes of one token's KV-cache entries in all layers."""
    return sum(2 * layer.kv_heads * layer.head_dim * itemsize for layer in shape.layers)
