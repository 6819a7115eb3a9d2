"""Reads RoPE settings from a model's configuration; imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.checkpoint.claims import Claims, shortened

KINDS = ("default", "linear", "llama3", "longrope", "yarn")
_OTHER_SPELLINGS = {"su": "longrope"}
_MOST_THETA, _MOST_FACTOR, _LEAST = 1e18, 1e6, 1e-6


@dataclass(frozen=True)
class RopeSettings:
    """One rotary embedding: its frequencies and the dimensions it rotates."""

    theta: float
    """Base of the geometric series of wavelengths."""
    dimensions: int
    """Leading dimensions of a head that are rotated."""
    kind: str = "default"
    """One of KINDS."""
    factor: float = 1.0
    """Factor by which the context was extended after pretraining."""
    original_context: int = 0
    """Context length of pretraining; 0 for kinds that ignore it."""
    magnitude: float = 1.0
    """Factor on cosine and sine."""
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    fast_turns: float = 32.0
    """yarn: dimensions with more turns than this keep their frequency."""
    slow_turns: float = 1.0
    """yarn: dimensions with fewer turns than this are interpolated."""
    round_turns: bool = True
    """yarn: whether the bounds between the two are whole dimensions."""
    divisors: tuple[float, ...] = ()
    """longrope: the divisor of each frequency in use."""
    long_divisors: tuple[float, ...] = ()
    """longrope: divisors for texts longer than `original_context`."""


def read_rope(raw: Claims, scaling: Claims, *, theta: float, head_dim: int) -> RopeSettings:
    """The rotary embedding that `scaling` (rope_parameters or rope_scaling) describes.

    `raw` is the whole configuration; `theta` is the default base. Raises UnsupportedModelError for
    a kind outside KINDS.
    """
    stated = scaling.text("rope_type", scaling.text("type", "default"))
    kind = _OTHER_SPELLINGS.get(stated, stated)
    share = scaling.number(
        "partial_rotary_factor", raw.number("partial_rotary_factor", 1.0, above=0), above=0
    )
    plain: dict[str, Any] = {
        "theta": scaling.number("rope_theta", theta, above=0),
        "dimensions": int(head_dim * share),
    }
    if kind == "default":
        return RopeSettings(**plain)
    if kind not in KINDS:
        raise UnsupportedModelError(
            f"rotary embeddings of type {shortened(stated)} are not supported",
            f"supported: {', '.join(KINDS)}",
        )
    context = raw.count("max_position_embeddings")
    return _SCALED[kind](plain, scaling, _original_context(raw, scaling, context), context)


def _original_context(raw: Claims, scaling: Claims, context: int) -> int:
    key = "original_max_position_embeddings"
    return raw.count(key, scaling.count(key, context, least=0), least=0) or context


def _linear(plain: dict[str, Any], scaling: Claims, original: int, context: int) -> RopeSettings:
    return RopeSettings(**plain, kind="linear", factor=scaling.number("factor", above=0))


def _llama3(plain: dict[str, Any], scaling: Claims, original: int, context: int) -> RopeSettings:
    return RopeSettings(
        **plain,
        kind="llama3",
        factor=scaling.number("factor", above=0),
        original_context=original,
        low_frequency_factor=scaling.number("low_freq_factor"),
        high_frequency_factor=scaling.number("high_freq_factor"),
    )


def _longrope(plain: dict[str, Any], scaling: Claims, original: int, context: int) -> RopeSettings:
    factor = scaling.number("factor", context / original, above=0)
    stated = scaling.maybe_number("attention_factor", above=0)
    return RopeSettings(
        **plain,
        kind="longrope",
        factor=factor,
        original_context=original,
        magnitude=_longrope_magnitude(factor, original) if stated is None else stated,
        divisors=tuple(scaling.numbers("short_factor", above=0)),
        long_divisors=tuple(scaling.numbers("long_factor", above=0)),
    )


def _longrope_magnitude(factor: float, original: int) -> float:
    grown = factor > 1 and original > 1
    return math.sqrt(1 + math.log(factor) / math.log(original)) if grown else 1.0


def _yarn(plain: dict[str, Any], scaling: Claims, original: int, context: int) -> RopeSettings:
    factor = scaling.number("factor", context / original, above=0)
    return RopeSettings(
        **plain,
        kind="yarn",
        factor=factor,
        original_context=original,
        magnitude=_yarn_magnitude(scaling, factor),
        fast_turns=scaling.number("beta_fast", 32.0, above=0),
        slow_turns=scaling.number("beta_slow", 1.0, above=0),
        round_turns=scaling.flag("truncate", True),
    )


def _yarn_magnitude(scaling: Claims, factor: float) -> float:
    stated = scaling.maybe_number("attention_factor", above=0)
    above, below = scaling.number("mscale", 0.0), scaling.number("mscale_all_dim", 0.0)
    growth = 0.1 * math.log(factor) if factor > 1 else 0.0
    if stated is not None:
        return stated
    if above and below:
        return (growth * above + 1.0) / max(growth * below + 1.0, _LEAST)
    return growth + 1.0


_SCALED = {"linear": _linear, "llama3": _llama3, "longrope": _longrope, "yarn": _yarn}


def problem(rope: RopeSettings, head_dim: int) -> str:
    """The problem with a rotary embedding for heads of this size; empty if there is none."""
    pairs, rest = divmod(rope.dimensions, 2)
    if rest or not 1 <= pairs <= head_dim // 2:
        return f"it rotates {rope.dimensions:,} dimensions of {head_dim:,}"
    if rope.kind not in KINDS:
        return f"its type is {rope.kind!r}"
    if not 1 < rope.theta <= _MOST_THETA or not 0 < rope.factor <= _MOST_FACTOR:
        return f"its base is {rope.theta:g}, its factor {rope.factor:g}"
    if not 0 < rope.magnitude <= _MOST_FACTOR:
        return f"its magnitude is {rope.magnitude:g}"
    return _PROBLEMS[rope.kind](rope) if rope.kind in _PROBLEMS else ""


def _llama3_problem(rope: RopeSettings) -> str:
    low, high = rope.low_frequency_factor, rope.high_frequency_factor
    fits = low < high and rope.original_context
    return "" if fits else f"its frequencies blend from {low:g} to {high:g}"


def _longrope_problem(rope: RopeSettings) -> str:
    pairs, stated = rope.dimensions // 2, (rope.divisors, rope.long_divisors)
    fits = all(len(divisors) == pairs and min(divisors) > 0 for divisors in stated)
    counts = " and ".join(str(len(divisors)) for divisors in stated)
    return "" if fits else f"it has {counts} divisors for {pairs} frequencies"


def _yarn_problem(rope: RopeSettings) -> str:
    fits = min(rope.fast_turns, rope.slow_turns) > _LEAST and rope.original_context
    return "" if fits else f"it blends from {rope.fast_turns:g} to {rope.slow_turns:g} turns"


_PROBLEMS: dict[str, Callable[[RopeSettings], str]] = {
    "llama3": _llama3_problem,
    "longrope": _longrope_problem,
    "yarn": _yarn_problem,
}
