"""Start over only while a fitted head says that a new answer would be better.

Paper: Adaptive Inference-Time Compute, arXiv:2410.02725
Published: ours (general name); Paper: the model is trained to say whether it would do better if it
    started over. Here: the model is frozen, and a logistic regression on its hidden states is
    fitted to the share of other samples that score no better; window=4, enough=0.9 and begin=64 are
    not tuned.
Exact: equals the greedy answer at n=1; best of n by the head at enough=none, begin=0 and
    annealed=false.
Cost: up to n answers, window after window; a judgement is one product with the head.
    `forethought tune --probe restart-gain` fits the head.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forethought.beliefs.probes.file import StoredProbe, read
from forethought.contracts.parameters import Count, CountOrZero, Share
from forethought.contracts.search import Ability, Ask, Candidate, Search, Strategy
from forethought.methods.search._restarts import Restarts


@dataclass(frozen=True)
class RestartGain(Strategy):
    """The answer that a new attempt would least likely beat; not calibrated."""

    probe: str
    """File written by `forethought tune --probe restart-gain`."""
    n: Count = 16
    """Most answers started."""
    enough: Share | None = 0.9
    """Stop once an answer is kept with this probability; none never stops."""
    window: Count = 4
    """Answers started at once."""
    begin: CountOrZero = 64
    """Tokens after which partial answers are judged and the worse given up; 0 for never."""
    keep: Share = 0.5
    """Share of a window's partial answers to continue, at least one; 1 gives up none."""
    annealed: bool = True
    """Sample windows at temperatures 0, 1/2, 3/4, ...; the first window is one answer."""
    digest: str = ""
    """Digest of the probe's file, as printed by `tune`; empty accepts any."""

    @property
    def needs(self) -> frozenset[Ability]:
        """Probes, and steps if partial answers are judged."""
        return frozenset({"probes", "steps"} if self.begin else {"probes"})

    @property
    def probes(self) -> Sequence[StoredProbe]:
        """The head."""
        return (read(self.probe, "restart-gain", self.digest),)

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Start a window, drop its worse answers, finish the rest, until one is good."""
        (head,) = self.probes
        limits = self.n, self.enough, self.window, self.begin, self.keep, self.annealed
        return (yield from Restarts(*limits).search(start, _Judgements(head)))


@dataclass
class _Judgements:
    """The head's outputs, which candidates carry."""

    head: StoredProbe
    spent: str = ""
    """Always empty: judgements cost no request."""

    def hear(self, candidates: Sequence[Candidate]) -> Generator[Ask, Any, None]:
        """Do nothing: the candidates carry the outputs."""
        yield from ()

    def knows(self, one: Candidate) -> bool:
        """Whether the candidate carries the output: it has a token."""
        return one.outputs_of(self.head.key) is not None

    def of(self, one: Candidate) -> float:
        """The probability that a new answer would be no better; 0 without a token."""
        return self.head.of(one)[0] if self.knows(one) else 0.0
