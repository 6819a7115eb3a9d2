"""Which answers say the same, whatever words and reasoning stand around what they come to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.search import Candidate, Reader
from forethought.tasks.mathematics._extract import boxed, final
from forethought.tasks.mathematics._judge import equal

_MARKS = re.compile(r"[^\w\s]|_")


@dataclass(frozen=True)
class SameAnswers(Reader):
    """By the value of what an answer comes to; where it comes to none, by all its words.

    An answer that was cut off says something only if it boxed its result before.
    """

    def group(self, candidates: Sequence[Candidate]) -> list[int | None]:
        """A number for each candidate; None where it says nothing."""
        known: list[str] = []
        places: dict[str, int | None] = {"": None}  # the same words need no second look
        for result in (results := [*map(_result, candidates)]):
            if result not in places:
                place = next((n for n, one in enumerate(known) if equal(one, result)), len(known))
                known += [result] if place == len(known) else []
                places[result] = place
        return [places[result] for result in results]


def _result(candidate: Candidate) -> str:
    if candidate.finish != "stop" and not boxed(candidate.text):
        return ""
    found = final(candidate.text)
    return found or " ".join(_MARKS.sub(" ", candidate.text).casefold().split())
