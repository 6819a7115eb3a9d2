"""Particles: partial answers that are weighted and resampled as they grow."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from forethought.contracts.search import Ask, Candidate, Search, Until, score, write
from forethought.methods.search._choice import AnswerOption, chosen
from forethought.numerics.resampling import (
    effective_count,
    log_mean_exp,
    log_odds,
    multinomial,
    normalised,
    swap_chance,
    systematic,
)

ALWAYS = math.inf
"""Resample at every step, even if all weights are equal."""
Scheme = Callable[[np.ndarray, int, np.random.Generator], list[int]]
"""A resampling scheme: (shares, count, rng) to the indices that are copied."""


@dataclass(frozen=True)
class Particle:
    """A partial answer with its history."""

    states: tuple[Candidate, ...]
    """The start, then the state after each step."""
    scores: tuple[float, ...] = ()
    """The score of each state but the first."""

    @property
    def here(self) -> Candidate:
        """The newest state."""
        return self.states[-1]

    @property
    def score(self) -> float:
        """The newest score."""
        return self.scores[-1] if self.scores else 0.0

    def grown(self, state: Candidate, value: float) -> Particle:
        """The particle with one more step."""
        return Particle((*self.states, state), (*self.scores, value))

    def at(self, step: int) -> Particle:
        """The particle after that many steps, or as it is if it has fewer."""
        return Particle(self.states[: step + 1], self.scores[:step])

    def gain(self, step: int, target: str) -> float:
        """The log of the factor by which a step multiplies the weight.

        For the target "answer" the factor is the change of the odds, so the product over all
        steps is the odds of the answer. For "steps" each step contributes its own odds. Both
        contribute nothing beyond the end. For "newest" the factor is the odds of the newest score,
        also at each step after the end.
        """
        if target == "newest":
            return log_odds(self.scores[min(step, len(self.scores)) - 1])
        if step > len(self.scores):
            return 0.0
        before = log_odds(self.scores[step - 2]) if target == "answer" and step > 1 else 0.0
        return log_odds(self.scores[step - 1]) - before

    def log_weight(self, target: str) -> float:
        """The sum of the gains of its own steps."""
        return sum(self.gain(step, target) for step in range(1, len(self.states)))


@dataclass
class ParticleSet:
    """Particles of one target, and their weights since the last resampling."""

    particles: list[Particle]
    temperature: float = 1.0
    """Divisor of the log weights."""
    reference: Particle | None = None
    """The first particle, which is never replaced (conditional SMC)."""
    scheme: Scheme = systematic
    """The resampling scheme without a reference."""
    log_weights: np.ndarray = field(init=False)
    settled: float = 0.0
    """Log of the product of the mean weights at each resampling."""
    dropped: list[Particle] = field(default_factory=list)
    """Particles that a resampling dropped."""

    def __post_init__(self) -> None:
        self.log_weights = np.zeros(len(self.particles))

    @property
    def done(self) -> bool:
        """Whether every particle is finished."""
        return all(one.here.done for one in self.particles)

    @property
    def cut(self) -> bool:
        """Whether the budget cut a particle short."""
        return any(one.here.finish == "budget" for one in self.particles)

    @property
    def shares(self) -> np.ndarray:
        """Normalised weights [N]."""
        return normalised(self.log_weights)

    @property
    def log_evidence(self) -> float:
        """Log of an unbiased estimate of the mean weight under plain sampling."""
        return self.settled + log_mean_exp(self.log_weights)

    @property
    def growing(self) -> list[int]:
        """Indices of the particles to extend."""
        free = range(1 if self.reference else 0, len(self.particles))
        return [place for place in free if not self.particles[place].here.done]

    def weigh(self, step: int, target: str) -> None:
        """Update the weights with the newest scores."""
        if self.reference is not None:
            self.particles[0] = self.reference.at(step)
        gains = [one.gain(step, target) for one in self.particles]
        self.log_weights = self.log_weights + np.array(gains) / self.temperature

    def resample(self, below: float, rng: np.random.Generator) -> None:
        """Resample if the effective sample size is less than `below` times the particles."""
        shares, count = self.shares, len(self.particles)
        if effective_count(shares) >= below * count - 1e-9:
            return
        if self.reference is None:
            copied = self.scheme(shares, count, rng)
        else:
            # Beside a fixed particle, only independent draws leave the target invariant.
            copied = [0, *multinomial(shares, count - 1, rng)]
        gone = set(range(count)) - set(copied)
        self.dropped += [self.particles[place] for place in sorted(gone)]
        self.particles = [self.particles[place] for place in copied]
        self.settled += log_mean_exp(self.log_weights)
        self.log_weights = np.zeros(count)

    def draw(self, rng: np.random.Generator) -> Particle:
        """One particle, sampled by weight."""
        return self.particles[int(rng.choice(len(self.particles), p=self.shares))]

    def options(self, weight: float) -> Iterator[AnswerOption]:
        """Candidates for the answer: the particles, which share `weight`."""
        for one, share in zip(self.particles, self.shares, strict=True):
            yield AnswerOption(one.here, weight * float(share), one.score)

    def lost(self) -> Iterator[AnswerOption]:
        """Finished answers that a resampling dropped; they weigh nothing."""
        for one in self.dropped:
            if one.here.done:
                yield AnswerOption(one.here, 0.0, one.score)


class Stepwise(Protocol):
    """The settings that particle methods share."""

    @property
    def depth(self) -> int:
        """Most steps of an answer."""
        ...

    @property
    def delimiter(self) -> str:
        """Text that ends a step."""
        ...

    @property
    def target(self) -> str:
        """The target of the weights, as `Particle.gain` has it."""
        ...

    @property
    def temperature(self) -> float | None:
        """Sampling temperature of each step; None for the recipe's."""
        ...


def grow(
    method: Stepwise, sets: Sequence[ParticleSet], below: float, rng: np.random.Generator
) -> Generator[Ask, Any, None]:
    """Extend several particle sets together until all are finished or the budget is spent.

    There is no resampling after the last step, which would only lose answers.
    """
    for step in range(1, method.depth + 1):
        growing = [one for one in sets if not one.done]
        yield from _step(method, growing, "end" if step == method.depth else "step")
        for particle_set in growing:
            particle_set.weigh(step, method.target)
        if any(one.cut for one in sets) or all(one.done for one in sets):
            return
        for particle_set in sets:
            if not particle_set.done:
                particle_set.resample(below, rng)


def _step(method: Stepwise, sets: Sequence[ParticleSet], until: Until) -> Generator[Ask, Any, None]:
    """Extend every unfinished particle by one step."""
    places = [(particle_set, place) for particle_set in sets for place in particle_set.growing]
    parents = [particle_set.particles[place] for particle_set, place in places]
    if not places:
        return
    states = yield from write(
        [one.here for one in parents],
        until=until,
        delimiter=method.delimiter,
        temperature=method.temperature,
    )
    # A step that the budget cut short gets no score.
    judged = [one for one in states if one.finish != "budget"]
    values = (yield from score(judged)) if judged else []
    known = dict(zip([one.identity for one in judged], values, strict=True))
    for (particle_set, place), parent, state in zip(places, parents, states, strict=True):
        grown = parent.grown(state, known.get(state.identity, parent.score))
        particle_set.particles[place] = grown


def sweeps(
    method: Stepwise,
    start: Candidate,
    rng: np.random.Generator,
    *,
    n: int,
    temperatures: Sequence[float],
    iterations: int,
    pick: str,
) -> Search:
    """Iterated conditional SMC with one particle set per temperature.

    Each iteration keeps one particle of each set as its reference, and neighbouring temperatures
    may swap references. The answers are those of the first temperature.
    """
    kept: list[Particle | None] = [None] * len(temperatures)
    options: list[AnswerOption] = []
    dropped: list[Candidate] = []
    for iteration in range(iterations):
        sets = [
            ParticleSet(_beside(reference, start, n), temperature, reference, multinomial)
            for temperature, reference in zip(temperatures, kept, strict=True)
        ]
        yield from grow(method, sets, ALWAYS, rng)
        cut = any(one.cut for one in sets)
        # A set cut short follows no target, so it counts only if it is the first iteration.
        weight = 0.0 if cut and iteration else 1 / iterations
        for place, particle_set in enumerate(sets):
            options += [*particle_set.options(0.0 if place else weight), *particle_set.lost()]
            dropped += [one.here for one in particle_set.dropped if not one.here.done]
        if cut:
            break
        references = [particle_set.draw(rng) for particle_set in sets]
        kept = list(traded(references, temperatures, method.target, rng))
    last = kept[0].here if kept[0] else None
    return (yield from chosen(options, pick, rng, pruned=dropped, drawn=last))


def _beside(reference: Particle | None, start: Candidate, n: int) -> list[Particle]:
    return [reference.at(0) if reference else Particle((start,))] + [Particle((start,))] * (n - 1)


def traded(
    references: Sequence[Particle],
    temperatures: Sequence[float],
    target: str,
    rng: np.random.Generator,
) -> list[Particle]:
    """The references after proposed swaps between neighbouring temperatures."""
    placed = list(references)
    for a, b in pairwise(range(len(placed))):
        log_a, log_b = placed[a].log_weight(target), placed[b].log_weight(target)
        if rng.random() < swap_chance(log_a, log_b, temperatures[a], temperatures[b]):
            placed[a], placed[b] = placed[b], placed[a]
    return placed
