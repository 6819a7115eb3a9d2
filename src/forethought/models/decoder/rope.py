"""Rotary position embeddings: angles once per forward pass, queries and keys together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from forethought.models.decoder.rope_settings import RopeSettings


class Rotation(NamedTuple):
    """Cosines and sines of some positions, for dimensions 0 to R of every head."""

    cosine: Tensor
    """[N, 1, R]"""
    signed_sine: Tensor
    """[N, 1, R]: negative in the first half, where it meets the second half's values."""

    def part(self, rows: slice) -> Rotation:
        """The rotation at some of the positions."""
        return Rotation(self.cosine[rows], self.signed_sine[rows])


class Rope:
    """One rotary embedding on one device."""

    def __init__(self, settings: RopeSettings, device: torch.device | str = "cpu") -> None:
        self.frequencies = frequencies(settings).to(device)
        self.magnitude = settings.magnitude

    def at(self, positions: Tensor, dtype: torch.dtype) -> Rotation:
        """The rotation at positions [N]; angles are float32, as in training, unless in float64."""
        angles = self._angles(positions, dtype)
        cosine, sine = angles.cos(), angles.sin()
        if self.magnitude != 1.0:
            cosine, sine = cosine.mul_(self.magnitude), sine.mul_(self.magnitude)
        cosine, sine = cosine.to(dtype), sine.to(dtype)
        return Rotation(torch.cat([cosine, cosine], -1), torch.cat([-sine, sine], -1))

    def _angles(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """[N, 1, R / 2]"""
        exact = torch.promote_types(dtype, torch.float32)
        return positions[:, None, None].to(exact) * self.frequencies.to(exact)

    def rotate(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Rotate vectors [N, any, D] by positions [N], which may be fractions, without magnitude
        scaling."""
        angles = self._angles(positions, vectors.dtype)
        cosine, sine = (part.to(vectors.dtype) for part in (angles.cos(), angles.sin()))
        turn = Rotation(torch.cat([cosine, cosine], -1), torch.cat([-sine, sine], -1))
        return rotate_(vectors.clone(), turn)


def rotate_(heads: Tensor, turn: Rotation) -> Tensor:
    """Rotate heads [N, any, D] in place: dimension i with i + R / 2; dimensions beyond R stay."""
    size = turn.cosine.shape[-1]
    turning = heads if heads.shape[-1] == size else heads[..., :size]
    swapped = turning.roll(size // 2, -1)
    turning.mul_(turn.cosine).addcmul_(swapped, turn.signed_sine)
    return heads


def frequencies(settings: RopeSettings) -> Tensor:
    """Radians per position of each pair of dimensions: float32 [R / 2]."""
    return _KINDS[settings.kind](settings)


def _default(settings: RopeSettings) -> Tensor:
    return 1.0 / _wavelengths(settings)


def _wavelengths(settings: RopeSettings) -> Tensor:
    """Positions per radian, before any scaling."""
    share = torch.arange(0, settings.dimensions, 2, dtype=torch.float32) / settings.dimensions
    return torch.pow(settings.theta, share)


def _linear(settings: RopeSettings) -> Tensor:
    return _default(settings) / settings.factor


def _llama3(settings: RopeSettings) -> Tensor:
    """Low frequencies are scaled, high ones kept, and those between blended."""
    plain, context = _default(settings), settings.original_context
    low, high = settings.low_frequency_factor, settings.high_frequency_factor
    turns = context * plain / (2 * math.pi)
    keep = ((turns - low) / (high - low)).clamp(0, 1)
    return (1 - keep) * plain / settings.factor + keep * plain


def _longrope(settings: RopeSettings) -> Tensor:
    return 1.0 / (torch.tensor(settings.divisors) * _wavelengths(settings))


def _yarn(settings: RopeSettings) -> Tensor:
    """Like llama3, but the blend is linear in the dimension, not in the number of turns."""
    plain, size = _default(settings), settings.dimensions
    low = _dimension_turning(settings, settings.fast_turns)
    high = _dimension_turning(settings, settings.slow_turns)
    if settings.round_turns:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    # Equal bounds give a step; the small width avoids a division by zero.
    width = high - low or 0.001
    stretched = ((torch.arange(size // 2, dtype=torch.float32) - low) / width).clamp(0, 1)
    return stretched * plain / settings.factor + (1 - stretched) * plain


def _dimension_turning(settings: RopeSettings, turns: float) -> float:
    """The pair (fractional) that makes so many turns in the original context."""
    wavelength = settings.original_context / (turns * 2 * math.pi)
    return settings.dimensions * math.log(wavelength) / (2 * math.log(settings.theta))


_KINDS: dict[str, Callable[[RopeSettings], Tensor]] = {
    "default": _default,
    "linear": _linear,
    "llama3": _llama3,
    "longrope": _longrope,
    "yarn": _yarn,
}
