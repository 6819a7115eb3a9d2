"""Stop answers in an unsure stretch, and vote by the confidence of the others.

Paper: Deep Think with Confidence, arXiv:2508.15260
Published: code; facebookresearch/deepconf, online: threshold from a warm-up, weights by the lowest
    group confidence. Answers in progress are checked every few tokens, which changes no vote.
Exact: equals one plain sample at n=1; kept=1 stops no answer that is as sure as the warm-up.
Cost: the warm-up in full, and each later answer until it is stopped. Answers shorter than the
    window are never stopped.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from forethought.contracts.parameters import Count, Share
from forethought.contracts.search import (
    Ability,
    Ask,
    Candidate,
    Found,
    Search,
    Strategy,
    group,
    write,
)
from forethought.methods.search._answers import budget_spent, elected
from forethought.numerics.token_confidence import trace_confidence, window_means
from forethought.numerics.votes import Tally

_ROUNDING = 1e-9
"""An answer that equals the threshold but for rounding is sure enough."""


@dataclass(frozen=True)
class DeepConf(Strategy):
    """The vote of all answers whose lowest group confidence reaches that of the warm-up."""

    n: Count = 256
    """Most answers started, the warm-up included."""
    warmup: Count = 16
    """Answers that are finished in any case; their confidences give the threshold."""
    kept: Share = 0.9
    """Share of the warm-up whose confidence suffices: 0.9 is careful, 0.1 aggressive."""
    window: Count = 2048
    """Tokens of a group; short answers need a smaller one, such as 64."""
    check: Count = 64
    """Tokens between two checks of an answer in progress."""
    consensus: Share = 1.0
    """Start no further answers once the leading one has this share of the weight; 1 for never."""
    batch: Count = 16
    """Answers started at once, if a consensus may end the search."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"token-confidence", "steps"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Warm up, start the other answers, stop the unsure ones, and vote."""
        first = yield from write([start] * min(self.warmup, self.n))
        least = self._threshold(first)
        answers, stopped, drawn = list(first), list[Candidate](), len(first)
        tally = yield from self._vote(answers, least, len(first))
        while drawn < self.n and not self._agreed(tally) and not budget_spent(answers):
            few = self.batch if self.consensus < 1 else self.n
            few = min(few, self.n - drawn)
            ended, given_up = yield from self._continued([start] * few, least)
            answers, stopped, drawn = answers + ended, stopped + given_up, drawn + few
            tally = yield from self._vote(answers, least, len(first))
        best = elected(answers, tally, [one.likelihood for one in answers])
        part = tally.part(best)
        return Found(answers[best], tuple(answers), tally.weights, part, tuple(stopped))

    def _threshold(self, answers: Sequence[Candidate]) -> float:
        """The group confidence that later answers must keep."""
        known = [self._lowest(one) for one in answers if one.whole and one.token_confidences]
        if not known:
            return -np.inf
        return float(np.percentile(known, 100.0 * (1.0 - self.kept))) - _ROUNDING

    def _continued(
        self, begun: Sequence[Candidate], least: float
    ) -> Generator[Ask, Any, tuple[list[Candidate], list[Candidate]]]:
        """The answers that end, in order, and those that are stopped on the way."""
        slots: list[Candidate | None] = list(begun)
        stopped: list[Candidate] = []
        while places := [n for n, one in enumerate(slots) if one is not None and not one.done]:
            parents = [one for one in slots if one is not None and not one.done]
            grown = yield from write(parents, max_tokens=self.check)
            for place, parent, one in zip(places, parents, grown, strict=True):
                unsure = self._falls_below(one, parent.tokens, least)
                slots[place] = None if unsure else one
                stopped += [one] if unsure else []
        return [one for one in slots if one is not None], stopped

    def _falls_below(self, one: Candidate, checked: int, least: float) -> bool:
        """Whether a window that ends after the first `checked` tokens is below the threshold."""
        known = one.token_confidences or ()
        known = known[:-1] if one.done else known  # nothing is left to stop after the last token
        recent = known[max(0, checked - self.window + 1) :]
        if len(recent) < self.window:
            return False
        return bool((window_means(recent, self.window) < least).any())

    def _vote(
        self, answers: Sequence[Candidate], least: float, warmup: int
    ) -> Generator[Ask, Any, Tally]:
        """Votes weighed by the lowest group; of the warm-up, only those above the threshold."""
        groups = yield from group(answers)
        weights = [
            self._lowest(one) if one.whole and one.token_confidences else 0.0 for one in answers
        ]
        for place in range(warmup):
            weights[place] *= weights[place] >= least
        if not any(weights):
            weights = [float(one.whole) for one in answers]
        return Tally.of(groups, weights)

    def _agreed(self, tally: Tally) -> bool:
        return self.consensus < 1 and (tally.share or 0.0) >= self.consensus

    def _lowest(self, one: Candidate) -> float:
        return trace_confidence(one.token_confidences or (), "lowest", self.window)
