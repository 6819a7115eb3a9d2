"""How a model turns positions into angles, read from its configuration; no torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forethought.contracts.errors import UnsupportedModelError

KINDS = ("default", "linear", "llama3", "longrope", "yarn")
_OTHER_SPELLINGS = {"su": "longrope"}


@dataclass(frozen=True)
class RopeSettings:
    """One rotary embedding: which frequencies, over how many dimensions of a head."""

    theta: float
    """Base of the geometric series of wavelengths."""
    dimensions: int
    """Leading dimensions of a head that are rotated; the others pass unchanged."""
    kind: str = "default"
    """One of KINDS."""
    factor: float = 1.0
    """How much the context was stretched after the first training."""
    original_context: int = 0
    """Positions of the first training; 0 where the kind does not ask."""
    magnitude: float = 1.0
    """Factor on cosine and sine."""
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    fast_turns: float = 32.0
    """yarn: dimensions that turn more often than this keep their frequency."""
    slow_turns: float = 1.0
    """yarn: dimensions that turn less often than this are interpolated."""
    round_turns: bool = True
    """yarn: whether the borders between the two are whole dimensions."""
    divisors: tuple[float, ...] = ()
    """longrope: a divisor of each frequency, in use."""
    long_divisors: tuple[float, ...] = ()
    """longrope: the divisors for texts longer than `original_context`."""


def read_rope(
    raw: Mapping[str, Any], scaling: Mapping[str, Any], *, theta: float, head_dim: int
) -> RopeSettings:
    """The rotary embedding that `scaling` (rope_parameters or rope_scaling) describes.

    `raw` is the whole configuration, `theta` the base where `scaling` states none.
    Raises UnsupportedModelError for a kind that is not one of KINDS.
    """
    stated = str(scaling.get("rope_type") or scaling.get("type") or "default")
    kind = _OTHER_SPELLINGS.get(stated, stated)
    share = float(scaling.get("partial_rotary_factor") or raw.get("partial_rotary_factor") or 1.0)
    base = float(scaling.get("rope_theta") or theta)
    plain: dict[str, Any] = {"theta": base, "dimensions": int(head_dim * share)}
    if kind == "default":
        return RopeSettings(**plain)
    if kind not in KINDS:
        raise UnsupportedModelError(
            f"rotary embeddings of type {stated!r} are not supported",
            f"supported: {', '.join(KINDS)}",
        )
    context = int(raw["max_position_embeddings"])
    return _SCALED[kind](plain, scaling, _original_context(raw, scaling, context), context)


def _original_context(raw: Mapping[str, Any], scaling: Mapping[str, Any], context: int) -> int:
    key = "original_max_position_embeddings"
    return int(raw.get(key) or scaling.get(key) or context)


def _linear(
    plain: dict[str, Any], scaling: Mapping[str, Any], original: int, context: int
) -> RopeSettings:
    return RopeSettings(**plain, kind="linear", factor=float(scaling["factor"]))


def _llama3(
    plain: dict[str, Any], scaling: Mapping[str, Any], original: int, context: int
) -> RopeSettings:
    return RopeSettings(
        **plain,
        kind="llama3",
        factor=float(scaling["factor"]),
        original_context=original,
        low_frequency_factor=float(scaling["low_freq_factor"]),
        high_frequency_factor=float(scaling["high_freq_factor"]),
    )


def _longrope(
    plain: dict[str, Any], scaling: Mapping[str, Any], original: int, context: int
) -> RopeSettings:
    factor = float(scaling.get("factor") or context / original)
    grown = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    stated = scaling.get("attention_factor")
    return RopeSettings(
        **plain,
        kind="longrope",
        factor=factor,
        original_context=original,
        magnitude=grown if stated is None else float(stated),
        divisors=tuple(map(float, scaling["short_factor"])),
        long_divisors=tuple(map(float, scaling["long_factor"])),
    )


def _yarn(
    plain: dict[str, Any], scaling: Mapping[str, Any], original: int, context: int
) -> RopeSettings:
    factor = float(scaling.get("factor") or context / original)
    return RopeSettings(
        **plain,
        kind="yarn",
        factor=factor,
        original_context=original,
        magnitude=_yarn_magnitude(scaling, factor),
        fast_turns=float(scaling.get("beta_fast") or 32),
        slow_turns=float(scaling.get("beta_slow") or 1),
        round_turns=bool(scaling.get("truncate", True)),
    )


def _yarn_magnitude(scaling: Mapping[str, Any], factor: float) -> float:
    stated, above, below = (
        scaling.get(key) for key in ("attention_factor", "mscale", "mscale_all_dim")
    )
    growth = 0.1 * math.log(factor) if factor > 1 else 0.0
    if stated is not None:
        return float(stated)
    if above and below:
        return (growth * float(above) + 1.0) / (growth * float(below) + 1.0)
    return growth + 1.0


_SCALED = {"linear": _linear, "llama3": _llama3, "longrope": _longrope, "yarn": _yarn}
