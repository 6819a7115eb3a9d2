"""Measures this machine in about ten seconds: the engine itself, on small random decoders.

Prefill and decode passes of a few shapes are timed, and non-negative least squares find the rates
that explain them: FLOP/s of products and of attention, bytes a second of weights, caches and
activations, and the overhead of a layer and of a pass. Relative errors count, so that short passes
weigh as much as long ones.
"""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor

from forethought.cost.hardware import HERE, Hardware, Measured
from forethought.cost.precision import STORED_BITS, Precision, precision
from forethought.cost.work import Operation, Pass, decode_step, operations
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Clock, Meter
from forethought.models.checkpoint.shapes import promised_shape
from forethought.models.compiled.available import kernels
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.decoder.names import sources
from forethought.models.decoder.quantise import pack_head, pack_levels, quantise4
from forethought.models.hardware.processor import has_memory_for

_BLOCK = 1 << 20  # random numbers that all weights repeat
_REPEATS = 2
_STEPS = 8
_PROMPTS = (512, 2048)
_CONTEXTS = (64, 3072)
_NARROW = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9,
           "num_key_value_heads": 3, "vocab_size": 16384}  # fmt: skip
_WIDE = {"hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12,
         "num_key_value_heads": 2, "vocab_size": 16384}  # fmt: skip
SHAPES = ((_NARROW, 16), (_NARROW, 4), (_WIDE, 3))
"""Sizes and layers of the random decoders; the last one gets the layers to exceed the cache."""
_BEYOND = 1.25
"""Weights of a decode pass that no cache holds, as a share of the last-level cache."""


@dataclass(frozen=True)
class TimedPass:
    """The time of a pass, and the terms that its rates multiply."""

    terms: tuple[float, ...]
    seconds: float


def probe(
    clock: Clock = time.perf_counter,
    shapes: Sequence[tuple[dict[str, int], int]] = SHAPES,
    prompts: Sequence[int] = _PROMPTS,
    contexts: Sequence[int] = _CONTEXTS,
    cache: int | None = None,
) -> Hardware:
    """The hardware record of this machine; `cache` are the bytes of its last-level cache."""
    prefill: list[TimedPass] = []
    decode: dict[str, list[TimedPass]] = {"bf16": [], "int4": []}
    deepest = len(shapes) - 1
    for place, (sizes, layers) in enumerate(shapes):
        config = _config(sizes, layers)
        deep = layers if place < deepest else _layers_beyond(config, cache or _last_cache())
        whole = _config(sizes, deep)
        tensors = _tensors(whole)
        linears = build_linears(tensors, {}, "bf16")
        first = Decoder(config, tensors, linears)
        prefill += [_prefill(first, length, clock) for length in prompts]
        plain = Decoder(whole, tensors, linears)
        packed = Decoder(whole, tensors, build_linears(tensors, _packed(tensors), _four_bits()))
        for name, network in (("bf16", plain), ("int4", packed)):
            stored = precision(name, here=True)
            decode[name] += [_decode(network, stored, held, clock) for held in contexts]
    return _record(prefill, decode, raw_rates(clock))


def _config(sizes: dict[str, int], layers: int) -> DecoderConfig:
    return DecoderConfig.from_transformers(
        {
            "model_type": "llama",
            **sizes,
            "num_hidden_layers": layers,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
        }
    )


def _layers_beyond(config: DecoderConfig, cache: int) -> int:
    """Layers whose 4-bit weights exceed the cache, as far as memory allows; at least all."""
    parameters = config.shape.layer_parameters
    wanted = math.ceil(_BEYOND * cache / (parameters * STORED_BITS[4] / 8))
    each = parameters * (2 + STORED_BITS[4] / 8)  # both formats are held
    while wanted > config.layers and not has_memory_for(round(wanted * each)):
        wanted -= 1
    return max(wanted, config.layers)


def _last_cache() -> int:
    """Bytes of the last-level cache, as far as the system tells; else a usual number."""
    try:
        return max(os.sysconf("SC_LEVEL3_CACHE_SIZE"), 32 << 20)
    except (OSError, ValueError):
        return 32 << 20


def _tensors(config: DecoderConfig) -> dict[str, Tensor]:
    """Weights that repeat one block of random numbers: drawing them all would take seconds."""
    block = torch.randn(_BLOCK, generator=torch.Generator().manual_seed(0)).mul_(0.02).bfloat16()
    made = {}
    for name in sources(config):
        shape = promised_shape(config, name)
        assert shape is not None, "canonical names have shapes"
        count = math.prod(shape)
        made[name] = block.repeat(-(-count // _BLOCK))[:count].view(shape).clone()
    return made


def _packed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """4-bit weights: those of the first layer, copied to the others."""
    head = pack_head(tensors["embed.weight"])
    packed = {f"head.{suffix}": made for suffix, made in head.items()}
    for name, weight in tensors.items():
        if not name.startswith("layers.") or weight.ndim != 2:
            continue
        owner = name.removesuffix(".weight")
        _, _, part = owner.split(".", 2)
        first = {key: held for key, held in packed.items() if key.startswith(f"layers.0.{part}.")}
        if first:
            packed |= {key.replace(f"layers.0.{part}", owner): held.clone()
                       for key, held in first.items()}  # fmt: skip
        else:
            levels = pack_levels(quantise4(weight))
            packed |= {f"{owner}.{suffix}": made for suffix, made in levels.items()}
    return packed


def _four_bits() -> str:
    return "compiled" if kernels() else "int4+rows"


def _prefill(network: Decoder, length: int, clock: Clock) -> TimedPass:
    tokens = list(range(length))

    def run() -> None:
        cache = SequenceCache(network.config.layers, length)
        Batch(network, Meter(clock)).prefill(cache, tokens)

    found = operations(network.config, Precision(), Pass(length))
    attended = sum(one.total.flops for one in found if one.name == "attention")
    products = sum(one.total.flops for one in found) - attended
    activations = sum(one.total.activation_bytes for one in found)
    return TimedPass((products, activations, attended), _fastest(run, _REPEATS, clock))


def _decode(network: Decoder, stored: Precision, held: int, clock: Clock) -> TimedPass:
    config, cache = network.config, _filled(network.config, held)
    batch = Batch(network, Meter(clock))
    found = operations(config, stored, decode_step(held))
    seconds = _fastest(lambda: batch.step([cache], [1]), _STEPS, clock)
    terms = (1.0, float(config.layers), _sum(found, "weight_bytes"), _sum(found, "cache_bytes"))
    return TimedPass(terms, seconds)


def _sum(found: Sequence[Operation], kind: str) -> float:
    return sum(float(getattr(one.total, kind)) for one in found)


def _filled(config: DecoderConfig, held: int) -> SequenceCache:
    """A cache of random entries, as a prefill would leave it."""
    cache = SequenceCache(config.layers, held + _STEPS + 2)
    entries = torch.randn(held, config.kv_heads, config.head_dim).bfloat16()
    for layer in range(config.layers):
        cache.append(layer, entries, entries)
    cache.place(range(held))
    return cache


def _fastest(run: Callable[[], object], repeats: int, clock: Clock) -> float:
    """The fastest of several runs, after one that does not count."""
    best = float("inf")
    with torch.inference_mode():
        run()
        for _ in range(repeats):
            start = clock()
            run()
            best = min(best, clock() - start)
    return best


def rates(timings: Sequence[TimedPass]) -> NDArray[np.float64]:
    """Non-negative seconds per unit of each term, by least squares of relative errors."""
    terms = np.array([one.terms for one in timings])
    seconds = np.array([one.seconds for one in timings])
    rows = terms / seconds[:, None]
    scale = rows.max(0)  # terms differ by many orders of magnitude
    found, _ = nnls(rows / scale, np.ones(len(rows)))
    return np.asarray(found / scale)


def raw_rates(clock: Clock, size: int = 1 << 27, width: int = 2048) -> tuple[float, float]:
    """Bytes a second of a plain read, and FLOP/s of a plain product of bf16 matrices."""
    held = torch.zeros(size // 4)
    left = torch.full((width, width), 0.01, dtype=torch.bfloat16)
    read = _fastest(lambda: held.sum(), _REPEATS, clock)
    product = _fastest(lambda: left @ left, _REPEATS, clock)
    return size / read, 2.0 * width**3 / product


def _record(
    prefill: Sequence[TimedPass], decode: dict[str, list[TimedPass]], raw: tuple[float, float]
) -> Hardware:
    product, activation, attention = rates(prefill)
    four, plain = rates(decode["int4"]), rates(decode["bf16"])
    measured = Measured(
        product_flops=_inverse(product),
        activation_bandwidth=_inverse(activation),
        attention_flops=_inverse(attention),
        decode_bandwidth={"bf16": _inverse(plain[2]), "int4": _inverse(four[2])},
        cache_bandwidth=_inverse(four[3]),
        layer_seconds=float(four[1]),
        pass_seconds=float(four[0]),
        threads=torch.get_num_threads(),
    )
    return Hardware(
        HERE,
        f"this machine, {platform.processor() or platform.machine()}",
        bandwidth=raw[0],
        peak=raw[1],
        peak8=raw[1],
        memory=float(_memory()),
        source="the probe: a plain read, a plain product of bf16 matrices",
        date=date.today().isoformat(),
        measured=measured,
    )


def _inverse(seconds: float) -> float:
    """A rate; a term that explains nothing has a rate beyond every machine."""
    return float(1 / max(seconds, 1e-18))


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
