"""A prior on a benchmark's score from its description and a few past results.

The idea is PRECOG's (arXiv:2509.20645), where a language model reads the description; its prompts
are not public. Ours needs no model: past results count by the words that they share with the
description. Words are weak evidence, so the prior is wide, and a few evaluated items outweigh it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, xlog1py, xlogy

from forethought.beliefs.logit_mixture import LogitMixture
from forethought.contracts.beliefs import LEVEL, Counts, tails
from forethought.contracts.errors import UnfitError, UsageError

Floats = NDArray[np.float64]
_GRID = 801
_LEAST_SPREAD, _WIDEST = 1.0, 1.75
"""Standard deviations of the log-odds: the least, and that without any past result."""
_PRIOR_WEIGHT = 1.0
"""Past results that the overall mean counts for beside similar ones."""
_SHARPNESS = 3.0
"""Power of the cosine of two descriptions' words in the weight of a past result."""
_WORD = re.compile(r"[^\W_]+")
_CHOICES = re.compile(r"\b(\d{1,2})[- ](?:way|choice|choices|options|class|classes)\b")
_BINARY = re.compile(r"\b(?:yes[- ](?:or[- ])?no|true[- ](?:or[- ])?false|binary)\b")


@dataclass(frozen=True)
class PastResult:
    """A benchmark that was run before."""

    description: str
    score: float
    """From 0 to 1."""
    questions: int


@dataclass(frozen=True)
class ScoreBelief:
    """The belief about a score: log-odds of the part above chance, on a grid."""

    chance: float
    shares: Floats
    """Probability of each point of the grid."""

    @property
    def mean(self) -> Floats:
        """The expected score, [1]."""
        return np.array([self.shares @ self._scores()])

    @property
    def spread(self) -> float:
        """The standard deviation of the score."""
        return float(np.sqrt(self.shares @ (self._scores() - self.mean[0]) ** 2))

    def interval(self, level: float = LEVEL) -> Floats:
        """The central interval of the score, [1, 2]."""
        sums = self.shares.cumsum() - self.shares / 2
        return np.array([np.interp(tails(level), sums, self._scores())])

    def sample(self, rng: np.random.Generator, count: int) -> Floats:
        """Draws of the score, [count, 1]."""
        found: Floats = rng.choice(self._scores(), (count, 1), p=self.shares)
        return found

    def given(self, evidence: Counts) -> ScoreBelief:
        """The belief after some items were evaluated, one sample each or several."""
        made, good = sum(evidence.samples), sum(evidence.right)
        scores = self._scores()
        logs = xlogy(good, scores) + xlog1py(made - good, -scores)
        weights = self.shares * np.exp(logs - logs.max())
        return ScoreBelief(self.chance, weights / weights.sum())

    def mixture(self) -> LogitMixture:
        """The belief as normal components of the log-odds; UnfitError if guessing scores."""
        if self.chance:
            raise UnfitError(
                f"guessing scores {self.chance:g}, which a mixture of log-odds cannot hold",
                "leave out --pfn: the update by --seen is exact without it",
            )
        points = _points()
        mean = float(self.shares @ points)
        width = float(np.sqrt(self.shares @ (points - mean) ** 2))
        return LogitMixture(np.full(3, 1 / 3), np.full(3, mean), np.full(3, width))

    def _scores(self) -> Floats:
        found: Floats = self.chance + (1 - self.chance) * expit(_points())
        return found


@dataclass(frozen=True)
class DescribedScore:
    """Conditions a prior on a description, by past results with similar ones."""

    past: tuple[PastResult, ...]

    def condition(self, description: str) -> ScoreBelief:
        """The belief about the score of the described benchmark."""
        if not _WORD.search(description):
            raise UsageError(
                "the description has no words", "say task, answer format and model in a sentence"
            )
        chance = chance_level(description)
        heights = np.array([_height(one.score, chance_level(one.description)) for one in self.past])
        weights = self.weights(description)
        centre = float(heights.mean()) if len(heights) else 0.0
        total = weights.sum() + _PRIOR_WEIGHT
        mean = float((weights @ heights + _PRIOR_WEIGHT * centre) / total)
        spread = (weights @ (heights - mean) ** 2 + _PRIOR_WEIGHT * _WIDEST**2) / total
        width = max(_LEAST_SPREAD, float(np.sqrt(spread)))
        shares = np.exp(-0.5 * ((_points() - mean) / width) ** 2)
        return ScoreBelief(chance, shares / shares.sum())

    def weights(self, description: str) -> Floats:
        """The weight of each past result, from 0 to 1: the cosine of rare words, to a power."""
        texts = [_words(one.description) for one in self.past]
        asked = _words(description)
        names = sorted(set(asked).union(*texts))
        rarity = np.array(
            [np.log1p(len(texts) / (1 + sum(name in text for text in texts))) for name in names]
        )
        own = rarity * np.array([name in asked for name in names])
        found = []
        for text in texts:
            other = rarity * np.array([name in text for name in names])
            lengths = float(np.linalg.norm(own) * np.linalg.norm(other))
            found.append(float(own @ other) / lengths if lengths else 0.0)
        return np.array(found) ** _SHARPNESS


def chance_level(description: str) -> float:
    """The score of guessing, if the description says how many choices there are; else 0."""
    text = description.casefold()
    choices = _CHOICES.search(text)
    if choices and int(choices[1]) > 1:
        return 1 / int(choices[1])
    return 0.5 if _BINARY.search(text) else 0.0


def left_out_errors(past: Sequence[PastResult]) -> tuple[float, float] | None:
    """Mean absolute errors on each past result from the others: of this prior, and of their mean.

    None for fewer than three past results.
    """
    if len(past) < 3:
        return None
    own, plain = [], []
    for place, one in enumerate(past):
        others = (*past[:place], *past[place + 1 :])
        own.append(abs(DescribedScore(others).condition(one.description).mean[0] - one.score))
        plain.append(abs(np.mean([other.score for other in others]) - one.score))
    return float(np.mean(own)), float(np.mean(plain))


def _points() -> Floats:
    return np.linspace(-12, 12, _GRID)


def _height(score: float, chance: float) -> float:
    """Log-odds of the part above chance, within 4 either way."""
    share = float(np.clip((score - chance) / (1 - chance), expit(-4.0), expit(4.0)))
    return float(logit(share))


def _words(description: str) -> frozenset[str]:
    return frozenset(_WORD.findall(description.casefold()))
