"""Idealized runtime: seconds of any request from a few measured ones, without contention.

Paper: "Cheaply Estimating Inference Efficiency Metrics for Autoregressive Transformer Models",
arXiv:2305.02440. A prompt of p tokens and an answer of o tokens take T(p, o) = alpha(p) +
(o - 1) beta. `fit` follows the authors' code: direct alpha, and beta as the slope of a pooled
regression whose intercept is dropped; only its rounding to milliseconds is left out, which would
erase the beta of small models. `fit(..., by_context=True)` adds a term of this project, gamma: the
seconds that a decode step takes for each entry before it.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from forethought.contracts.errors import BadDataError

_LONGEST = 1 << 40  # tokens: whatever is timed is shorter, and sums of squares stay finite


@dataclass(frozen=True)
class Timed:
    """A measured request."""

    prompt: int
    answer: int
    seconds: float


@dataclass(frozen=True)
class Runtime:
    """A fitted runtime."""

    prompts: tuple[int, ...]
    alphas: tuple[float, ...]
    """Seconds to the first token, for each of `prompts`."""
    beta: float
    """Seconds of a further token."""
    gamma: float = 0.0
    """Seconds of a further token for each entry before it."""
    fit: float = 1.0
    """R squared of the regression."""
    worst: float = 0.0
    """The largest squared residual."""

    def first_token(self, prompt: int) -> float:
        """Seconds to the first token: interpolated, and extrapolated by the last slope.

        They never fall beyond the longest prompt that was timed, and are those of the shortest one
        below it.
        """
        if prompt <= self.prompts[0] or len(self.prompts) == 1:
            return self.alphas[0]
        right = min(max(1, bisect_left(self.prompts, prompt)), len(self.prompts) - 1)
        low, high = self.prompts[right - 1], self.prompts[right]
        slope = (self.alphas[right] - self.alphas[right - 1]) / (high - low)
        if prompt > high:
            return self.alphas[right] + max(0.0, slope) * (prompt - high)
        return self.alphas[right - 1] + slope * (prompt - low)

    def seconds(self, prompt: int, answer: int) -> float:
        """Seconds of a request."""
        later = answer - 1
        return self.first_token(prompt) + later * self.beta + self.gamma * _read(prompt, later)

    def usd(self, prompt: int, answer: int, accelerators: int, per_hour: float) -> float:
        """The idealized cost: the time of all accelerators at their hourly price."""
        return self.seconds(prompt, answer) * accelerators * per_hour / 3600

    def joules(self, prompt: int, answer: int, accelerators: int, watts: float) -> float:
        """The idealized energy."""
        return self.seconds(prompt, answer) * accelerators * watts


def read_timed(path: Path) -> list[Timed]:
    """The requests of a JSON file: a list of `{"prompt": ..., "answer": ..., "seconds": ...}`.

    Lengths are in tokens. BadDataError for anything else.
    """
    try:
        found = [Timed(**one) for one in json.loads(path.read_text("utf-8"))]
        sound = all(
            isinstance(one.prompt, int) and isinstance(one.answer, int)
            and min(one.prompt, one.answer) >= 1 and max(one.prompt, one.answer) <= _LONGEST
            and 0 < float(one.seconds) < inf
            for one in found
        )  # fmt: skip
        if not found or not sound:
            raise ValueError(f"lengths beyond 1 to {_LONGEST:,}, no seconds, or no request")
    except (OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadDataError(
            f"{path} holds no timed requests: {error}",
            'write a JSON list of {"prompt": 256, "answer": 32, "seconds": 0.8}',
        ) from error
    return found


def denoised(measurements: Iterable[Timed]) -> list[Timed]:
    """The fastest of the repetitions of each request."""
    best: dict[tuple[int, int], float] = {}
    for one in measurements:
        key = (one.prompt, one.answer)
        best[key] = min(one.seconds, best.get(key, one.seconds))
    return [Timed(*key, seconds) for key, seconds in sorted(best.items())]


def fit(measurements: Iterable[Timed], *, by_context: bool = False) -> Runtime:
    """Fit alpha by the answers of one token, beta by all others.

    Raises BadDataError if a prompt length has no answer of one token, or none a longer one.
    """
    held = denoised(measurements)
    alphas = {one.prompt: one.seconds for one in held if one.answer == 1}
    lacking = sorted({one.prompt for one in held} - set(alphas))
    if not alphas or lacking:
        raise BadDataError(
            f"no answer of one token was timed for prompts of {lacking or 'any'} tokens",
            "time every prompt length with one answer token too",
        )
    if all(one.answer == 1 for one in held):
        raise BadDataError("only answers of one token were timed", "time longer answers too")
    later = [one.answer - 1.0 for one in held]
    read = [_read(one.prompt, one.answer - 1) for one in held]
    rest = [one.seconds - alphas[one.prompt] for one in held]
    beta, gamma = _two_slopes(later, read, rest) if by_context else (_slope(later, rest), 0.0)
    if beta < 0:
        raise BadDataError(
            "longer answers were faster than shorter ones: other work disturbed the timings",
            "time each request several times on an idle machine",
        )
    guesses = [beta * x + gamma * z for x, z in zip(later, read, strict=True)]
    errors = [(y - guess) ** 2 for y, guess in zip(rest, guesses, strict=True)]
    spread = _variance_sum(rest)
    prompts = tuple(sorted(alphas))
    return Runtime(
        prompts,
        tuple(alphas[prompt] for prompt in prompts),
        beta,
        gamma,
        1 - sum(errors) / spread if spread else 1.0,
        max(errors),
    )


def _read(prompt: int, later: int) -> float:
    """Entries that the decode steps of an answer read, all together."""
    return later * prompt + later * (later + 1) / 2


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The slope of an ordinary least-squares line with intercept."""
    middle, height = sum(x) / len(x), sum(y) / len(y)
    across = sum((a - middle) * (b - height) for a, b in zip(x, y, strict=True))
    return across / _variance_sum(x)


def _variance_sum(x: Sequence[float]) -> float:
    middle = sum(x) / len(x)
    return sum((one - middle) ** 2 for one in x)


def _two_slopes(x: Sequence[float], z: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Non-negative least-squares slopes through the origin."""
    xx, zz, xz = _dot(x, x), _dot(z, z), _dot(x, z)
    xy, zy = _dot(x, y), _dot(z, y)
    determinant = xx * zz - xz * xz
    if determinant > 1e-12 * xx * zz:
        beta, gamma = (xy * zz - zy * xz) / determinant, (zy * xx - xy * xz) / determinant
        if beta >= 0 and gamma >= 0:
            return beta, gamma
    alone = (max(0.0, xy / xx), 0.0), (0.0, max(0.0, zy / zz))
    return min(alone, key=lambda pair: _loss(pair, x, z, y))


def _loss(
    slopes: tuple[float, float], x: Sequence[float], z: Sequence[float], y: Sequence[float]
) -> float:
    beta, gamma = slopes
    return sum((c - beta * a - gamma * b) ** 2 for a, b, c in zip(x, z, y, strict=True))


def _dot(x: Sequence[float], y: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))
