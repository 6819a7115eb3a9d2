"""Choosing the next token from its logits.

Randomness is a function of (seed, candidate, position) and nothing else, so neither the
batch nor a rewind changes what is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forethought.contracts.errors import MAKE_ANEW, DamagedFileError

_SHORTLIST = 256
_GREEDY_BELOW = 1e-9
"""Temperatures at which no second token could be drawn: two logits that differ in float32 differ
by far more."""


@dataclass(frozen=True)
class SamplingParams:
    """How to choose: filters apply in the order of the fields."""

    temperature: float = 0.0
    """0 is greedy, and so is what comes so close that nothing else could be drawn."""
    top_k: int = 0
    """Only the k likeliest; 0 for all."""
    top_p: float = 1.0
    """Only the likeliest that together reach this probability."""
    min_p: float = 0.0
    """Only those at least this share of the likeliest."""
    seed: int = 0
    top_logprobs: int = 0
    """How many of the likeliest tokens to report beside the chosen one."""


@dataclass(frozen=True)
class SampledToken:
    """A chosen token; log-probabilities are the model's own, before any filter."""

    token: int
    log_probability: float
    top: tuple[tuple[int, float], ...] = ()


def choose(logits: Tensor, sampling: SamplingParams, candidate: int, position: int) -> SampledToken:
    """The next token of one row from logits [V], float32."""
    if sampling.temperature < _GREEDY_BELOW:
        token = int(logits.argmax())
    else:
        token = _draw(logits, sampling, _uniform(sampling.seed, candidate, position))
    return stated(logits, token, sampling.top_logprobs)


def stated(logits: Tensor, token: int, top: int = 0) -> SampledToken:
    """A token that is chosen already, beside the `top` likeliest ones."""
    norm = torch.logsumexp(logits, 0)
    log_probability = float(logits[token] - norm)
    if not math.isfinite(log_probability):
        raise DamagedFileError(
            "the model computes values that are no numbers",
            "its weights are damaged, or too large for their format: try --weights bf16, or "
            f"{MAKE_ANEW}",
        )
    return SampledToken(token, log_probability, likeliest(logits - norm, top) if top else ())


def certainty(logits: Tensor) -> float:
    """The divergence from uniform to the law of logits [V], in nats: 0 where all are as likely.

    What the model rules out altogether is no token that could be written.
    """
    spread = float(torch.logsumexp(logits, 0) - logits.mean())
    if math.isinf(spread):
        return certainty(logits[logits.isfinite()])
    return max(0.0, spread - math.log(logits.shape[0]))


def likeliest(scores: Tensor, count: int) -> tuple[tuple[int, float], ...]:
    """The tokens of the highest scores [V], best first; of equal ones the lower number first."""
    values, tokens = scores.topk(min(count, scores.shape[0]))
    found = zip(tokens.tolist(), values.tolist(), strict=True)
    return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0])))


def _uniform(seed: int, candidate: int, position: int) -> float:
    return float(np.random.default_rng([seed, candidate, position]).random())


def _draw(logits: Tensor, sampling: SamplingParams, uniform: float) -> int:
    # Relative to the greatest, so that no quotient overflows.
    chances = torch.softmax((logits - logits.max()) / sampling.temperature, 0)
    if not (sampling.top_k or sampling.top_p < 1 or sampling.min_p > 0):
        return _invert(chances, uniform)
    ranked, tokens = _ranked(chances, sampling)
    if sampling.top_p < 1:
        # A token stays while what comes before it has not reached top_p yet.
        before = ranked.cumsum(0) - ranked
        stays = before < sampling.top_p
        stays[0] = True  # whatever top_p, something can be drawn
        ranked = torch.where(stays, ranked, 0.0)
    if sampling.min_p > 0:
        ranked = torch.where(ranked >= sampling.min_p * ranked[0], ranked, 0.0)
    return int(tokens[_invert(ranked, uniform)])


def _ranked(chances: Tensor, sampling: SamplingParams) -> tuple[Tensor, Tensor]:
    """The likeliest, best first: all that the filters could keep, sorted as few as possible."""
    size = chances.shape[0]
    if sampling.top_k:
        best = chances.topk(min(sampling.top_k, size))
        return best.values / best.values.sum(), best.indices
    short = chances.topk(min(_SHORTLIST, size))
    enough = sampling.top_p < 1 and float(short.values.sum()) >= sampling.top_p
    if enough or float(short.values[-1]) < sampling.min_p * float(short.values[0]):
        return short.values, short.indices
    full = chances.sort(descending=True, stable=True)
    return full.values, full.indices


def _invert(chances: Tensor, uniform: float) -> int:
    total = chances.double().cumsum(0)
    # Below the whole, since rounding up to it would pass over the last token that is possible.
    place = min(uniform * float(total[-1]), math.nextafter(float(total[-1]), 0.0))
    return min(int(torch.searchsorted(total, place, right=True)), chances.shape[0] - 1)
