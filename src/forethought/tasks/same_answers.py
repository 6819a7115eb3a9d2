"""Grouping of equal answers, by their final results."""

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
    """Groups answers by the value of their final result, or else by all their words.

    A truncated answer counts as empty unless it boxed its result.
    """

    def group(self, candidates: Sequence[Candidate]) -> list[int | None]:
        """The group number of each candidate; None for an empty answer."""
        known: list[str] = []
        places: dict[str, int | None] = {"": None}  # cache: equal texts are compared once
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
