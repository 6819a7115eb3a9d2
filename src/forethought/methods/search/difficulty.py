"""Tell easy, normal and hard questions apart before decoding, and answer each in its own way.

Paper: DiffAdapt, arXiv:2510.19669
Published: ours (general name); Paper: other words in the prompts, labels by the entropy of whole
    distributions, and at most 32,768 tokens. Here: labels by the surprise of the sampled tokens,
    and prompts of this project.
Exact: equals one sample of the prompt with the instructions of normal questions, if the head calls
    all questions normal.
Cost: one answer, and the prefill of its prompt after that of the question alone.
    `forethought tune --probe difficulty` fits the head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from forethought.beliefs.probes.file import StoredProbe, read
from forethought.contracts.errors import UsageError
from forethought.contracts.parameters import Count, Range, Share
from forethought.contracts.probing import CLASSES
from forethought.contracts.search import (
    Ability,
    Candidate,
    Found,
    Search,
    Strategy,
    prompt_probes,
    write,
)

Temperature = Annotated[float, Range(0, 2)]
_WORDS = (
    "Solve this directly, and check the result once.",
    "Solve this step by step.",
    "Your answer must be short. Take the most promising way, and state a result.",
)
"""Instructions for easy, normal and hard questions."""


@dataclass(frozen=True)
class PromptDifficulty(Strategy):
    """One answer, with the instructions, temperature and length of the question's difficulty."""

    probe: str
    """File written by `forethought tune --probe difficulty`."""
    longest: Count = 32768
    """Most tokens of an answer to a normal question; the recipe may allow fewer."""
    easy_share: Share = 0.4
    """Share of `longest` for easy questions."""
    hard_share: Share = 0.5
    """Share of `longest` for hard questions."""
    easy: Temperature = 0.5
    """Sampling temperature for easy questions."""
    normal: Temperature = 0.8
    """Sampling temperature for normal questions."""
    hard: Temperature = 0.4
    """Sampling temperature for hard questions."""
    digest: str = ""
    """Digest of the probe's file, as printed by `tune`; empty accepts any."""

    needs: ClassVar[frozenset[Ability]] = frozenset({"probes"})

    @property
    def probes(self) -> Sequence[StoredProbe]:
        """The head."""
        return (read(self.probe, "difficulty", self.digest),)

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Read the end of the question's prompt once, and answer by its class."""
        (head,) = self.probes
        (told,) = yield from prompt_probes([start])
        chances = next((one.outputs for one in told if one.probe == head.key), None)
        if chances is None:
            raise UsageError("the model shows no state of the prompt", "use another model")
        place = int(np.argmax(chances))
        asked = replace(start, question=f"{start.asked}\n\n{_WORDS[place]}")
        most = (self._most(self.easy_share), self.longest, self._most(self.hard_share))[place]
        warmth = (self.easy, self.normal, self.hard)[place]
        answers = yield from write([asked], temperature=warmth, max_tokens=most)
        share = f"{chances[place]:.2f}, not calibrated"
        note = f"difficulty: {CLASSES['difficulty'][place]} ({share}); {_told(warmth, most)}"
        return Found(answers[0], tuple(answers), (1.0,), notes=(note,))

    def _most(self, share: float) -> int:
        return max(1, math.ceil(share * self.longest - 1e-9))


def _told(warmth: float, most: int) -> str:
    return f"temperature {warmth:g}, at most {most:,} tokens"
