"""FLOPs and bytes of the operations of a forward pass, from sizes and bits alone.

FLOPs are those of matrix products, as the engine's meter counts them: 2 for a multiply-add, and
attention under a causal mask. Norms, softmax and activations move bytes but count no FLOPs.
Attention is fused: scores never leave the chip, and a pass reads each cache entry once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from forethought.cost.flops import causal_pairs
from forethought.cost.precision import Precision
from forethought.cost.sizes import LayerGroup, Sizes, WeightMatrix, head_of, layer_groups


@dataclass(frozen=True)
class Work:
    """FLOPs, and the bytes that move between memory and chip."""

    flops: float = 0.0
    weight_bytes: float = 0.0
    cache_bytes: float = 0.0
    """Keys and values that are read."""
    activation_bytes: float = 0.0
    """Inputs and outputs of operations, new keys and values among them."""

    @property
    def bytes_moved(self) -> float:
        """All bytes."""
        return self.weight_bytes + self.cache_bytes + self.activation_bytes

    @property
    def intensity(self) -> float:
        """FLOPs per byte."""
        return self.flops / self.bytes_moved if self.bytes_moved else 0.0

    def times(self, count: float) -> Work:
        """The work of so many repetitions."""
        return Work(
            self.flops * count,
            self.weight_bytes * count,
            self.cache_bytes * count,
            self.activation_bytes * count,
        )

    def plus(self, other: Work) -> Work:
        """The work of both."""
        return Work(
            self.flops + other.flops,
            self.weight_bytes + other.weight_bytes,
            self.cache_bytes + other.cache_bytes,
            self.activation_bytes + other.activation_bytes,
        )


@dataclass(frozen=True)
class Operation:
    """An operation that a pass repeats in equal layers."""

    name: str
    work: Work
    """Of one layer."""
    layers: int = 1

    @property
    def total(self) -> Work:
        """The work in all its layers."""
        return self.work.times(self.layers)


@dataclass(frozen=True)
class Pass:
    """One forward pass over equal sequences."""

    tokens: int
    """New tokens of each sequence."""
    past: float = 0.0
    """Cache entries of each sequence before the pass, in layers without a window."""
    batch: int = 1
    phase: str = "prefill"
    logits: int = 1
    """Rows of each sequence that pass the output head."""
    shared: float = 0.0
    """Entries among `past` that the sequences of a group share: read once a group."""
    groups: int = 1
    """Groups of sequences that share entries."""
    stops: bool = False
    """Whether nothing follows the last layer's attention, so that it is not computed."""

    attention: float | None = None
    """FLOPs of the attention of a sequence in a layer without a window; None for dense."""

    @property
    def rows(self) -> int:
        """Tokens of all sequences."""
        return self.tokens * self.batch


def decode_step(past: float, batch: int = 1, shared: float = 0.0, groups: int = 1) -> Pass:
    """A decode step after `past` entries."""
    return Pass(1, past, batch, "decode", shared=shared, groups=groups)


def operations(sizes: Sizes, precision: Precision, one: Pass) -> list[Operation]:
    """The operations of a pass: those of each group of layers, then the output head."""
    last = sizes.windows[-1] if one.stops else -1
    found = [
        operation
        for group in layer_groups(sizes)
        for operation in _layer(sizes, group, precision, one, stops=group.window == last)
    ]
    if one.logits:
        head = replace(one, tokens=one.logits)
        bits = precision.head_weights(one.phase)
        found.append(_product(head_of(sizes), bits, precision.activations, head))
    return found


def total(found: Iterable[Operation]) -> Work:
    """The work of all operations."""
    work = Work()
    for operation in found:
        work = work.plus(operation.total)
    return work


def _layer(
    sizes: Sizes, group: LayerGroup, precision: Precision, one: Pass, *, stops: bool
) -> Iterator[Operation]:
    """The operations of equal layers; the last of them computes no attention if it `stops`."""
    for operation in _of_one_layer(sizes, group, precision, one):
        if stops and operation.name == "attention":
            yield replace(operation, work=replace(operation.work, flops=0.0))
            yield replace(operation, layers=group.count - 1)
        else:
            yield replace(operation, layers=group.count)


def _of_one_layer(
    sizes: Sizes, group: LayerGroup, precision: Precision, one: Pass
) -> Iterator[Operation]:
    bits, each = precision.weights(one.phase), precision.activations / 8
    yield _elementwise("norm", 2 * one.rows * sizes.hidden * each)
    for matrix in group.matrices:
        if matrix.name == "o":
            yield _attention(sizes, group.window, precision, one)
        if matrix.name == "down":
            width = matrix.inputs * matrix.chosen
            yield _elementwise("activation", 3 * one.rows * width * each)
        yield _product(matrix, bits, precision.activations, one)
        if matrix.name in ("o", "down"):
            yield _elementwise("add", 3 * one.rows * sizes.hidden * each)
        if matrix.name == "o":
            yield _elementwise("norm", 2 * one.rows * sizes.hidden * each)


def _product(matrix: WeightMatrix, bits: float, activations: float, one: Pass) -> Operation:
    rows = one.rows * matrix.chosen
    work = Work(
        flops=2.0 * matrix.inputs * matrix.outputs * rows,
        weight_bytes=matrix.read(one.rows) * bits / 8,
        activation_bytes=(matrix.inputs + matrix.outputs) * rows * activations / 8,
    )
    return Operation(matrix.name, work)


def _attention(sizes: Sizes, window: int | None, precision: Precision, one: Pass) -> Operation:
    past, shared = one.past, one.shared
    wide, narrow = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    flops = 4.0 * wide * causal_pairs(past, one.tokens, window)
    if window is None and one.attention is not None:
        flops = one.attention
    if window is not None:
        past = min(past, window - 1)
        shared = max(0.0, shared - (one.past - past))
    entries = one.groups * shared + one.batch * (past - shared + one.tokens)
    work = Work(
        flops=flops * one.batch,
        cache_bytes=2 * narrow * entries * precision.cache / 8,
        activation_bytes=2 * wide * one.rows * precision.activations / 8,
    )
    return Operation("attention", work)


def _elementwise(name: str, size: float) -> Operation:
    return Operation(name, Work(activation_bytes=size))
