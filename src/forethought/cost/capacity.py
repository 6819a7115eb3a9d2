"""The longest context and the most requests that fit into memory."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.cost.precision import Precision
from forethought.cost.roofline import Machine
from forethought.cost.sizes import Sizes, head_of, parameters

USABLE = 0.9
"""The share of memory for weights and caches; the rest holds activations and the runtime."""
_MOST = 1 << 40


@dataclass(frozen=True)
class Capacity:
    """Bytes of a model, and what fits beside its weights."""

    weight_bytes: float
    """Bytes of the model's weights, and of its draft's."""
    token_cache_bytes: float
    """Bytes of one more token of a sequence, while no window is full."""
    context: int
    """Tokens of one sequence that fit, at most `model_context`; 0 if not even the weights do."""
    requests: int
    """Requests of the stated size that fit at once; 0 if the model does not hold one."""
    model_context: int
    """Most tokens of a sequence, whatever the memory."""


def weight_bytes(sizes: Sizes, precision: Precision) -> float:
    """Bytes of all weights: embedding in 16 bits, layers and head in the format of decode."""
    head = head_of(sizes).parameters
    layers = parameters(sizes) - head * (1 if sizes.tied else 2)
    embedding = head * 2
    shared = sizes.tied and precision.head == 16
    own_head = 0.0 if shared else head * precision.head / 8
    return layers * precision.decode / 8 + embedding + own_head


def cache_bytes(sizes: Sizes, precision: Precision, tokens: float) -> float:
    """Bytes of a sequence's cache; a layer with a window holds no more entries than the window."""
    each = 2 * sizes.kv_heads * sizes.head_dim * precision.cache / 8
    return each * sum(tokens if window is None else min(tokens, window) for window in sizes.windows)


def gathered_bytes(sizes: Sizes, precision: Precision, neurons: int) -> float:
    """Bytes of the MLP weights of so many neurons of each layer, in the format of decode."""
    return 3 * sizes.hidden * neurons * sizes.layers * precision.decode / 8


def capacity(
    sizes: Sizes,
    machine: Machine,
    request_bytes: float,
    request_tokens: int = 1,
    draft_bytes: float = 0.0,
) -> Capacity:
    """What fits on a machine.

    `request_bytes` are those of a request's caches at its end, and of weights of its own;
    `request_tokens` those of its prompt; the model also holds at least one of its answer.
    `draft_bytes` are those of a draft's weights.
    """
    precision = machine.precision
    weights = weight_bytes(sizes, precision) + draft_bytes
    room = USABLE * machine.hardware.memory * machine.accelerators - weights
    held = request_tokens < sizes.context
    return Capacity(
        weight_bytes=weights,
        token_cache_bytes=cache_bytes(sizes, precision, 1),
        context=min(_longest(sizes, precision, room), sizes.context),
        requests=max(0, int(room / request_bytes)) if held and request_bytes else 0,
        model_context=sizes.context,
    )


def _longest(sizes: Sizes, precision: Precision, room: float) -> int:
    """The most tokens of one sequence whose cache fits into `room` bytes."""
    low, high = 0, _MOST
    if cache_bytes(sizes, precision, high) <= room:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        fits = cache_bytes(sizes, precision, middle) <= room
        low, high = (middle, high) if fits else (low, middle)
    return low
