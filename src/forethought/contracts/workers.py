"""The plan of workers that write one answer in lockstep and read each other's text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layout = Literal["contiguous", "interleaved", "combined"]
"""What a worker sees between the prompt and its own text.

contiguous: the others' text.
interleaved: the finished steps of all workers, in order of completion.
combined: the finished steps, then the others' unfinished ones.
"""


@dataclass(frozen=True)
class WorkerPlan:
    """The texts that the workers share; the model writes the rest."""

    openings: tuple[str, ...] = ("",)
    """The beginning of each worker's first step."""
    prefixes: tuple[str, ...] = ("",)
    """The beginning of each worker's later steps; `{step}` is their number."""
    layout: Layout = "combined"
    delimiter: str = "\n\n"
    """The text that ends a step, if the newest token has it."""
    sentence_ends: str = ""
    """Characters, one of which must end the text before the delimiter; empty for any text."""
    others: str = ""
    """The heading before the others' text."""
    own: str = ""
    """The heading before a worker's own text, if it has one for the others'."""
    question: str = ""
    """The beginning of a step that asks a worker whether it repeats others."""
    interval: int = 0
    """Tokens of a worker between two such questions; 0 for none."""
    answered: str = ""
    """Text that begins an answer and ends the run once a brace closes it; empty for none."""
    forbidden: tuple[str, ...] = ()
    """Tokens that no worker writes."""
    ending: str = ""
    """Text behind an answer without a result; room is left for it."""
    reserve: int = 0
    """Tokens of the maximum that are left behind the ending."""

    @property
    def workers(self) -> int:
        """Number of workers."""
        return len(self.openings)

    @property
    def alone(self) -> bool:
        """Whether a single worker decodes as usual, to its end token."""
        return self.workers == 1

    @property
    def headings(self) -> tuple[str, ...]:
        """The headings that take entries of the cache."""
        return tuple(one for one in (self.others, self.own) if one and not self.alone)
