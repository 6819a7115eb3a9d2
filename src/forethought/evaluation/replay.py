"""What a strategy would have made of answers that are kept: nothing is asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forethought.contracts.search import Ask, Candidate, Found, Group, Strategy, Write
from forethought.tasks.same_answers import SameAnswers


def replayed(strategy: Strategy, answers: Sequence[Candidate]) -> tuple[int, int] | None:
    """The place of the answer it would choose, and how many it would draw.

    None where it asks for more answers than there are, or for anything but plain ones.
    """
    start = Candidate()
    search = strategy.search(start, np.random.default_rng(0))
    drawn, sent = 0, None
    while True:
        try:
            ask = search.send(sent)
        except StopIteration as stopped:
            found: Found = stopped.value
            known = [one.identity for one in answers]
            return known.index(found.best.identity), drawn
        given = _given(ask, start, answers[drawn:])
        if given is None:
            return None
        drawn += len(given) if isinstance(ask, Write) else 0
        sent = given


def _given(ask: Ask, start: Candidate, left: Sequence[Candidate]) -> list[Any] | None:
    match ask:
        case Group():
            return SameAnswers().group(ask.candidates)
        case Write() if ask == Write((start,) * len(ask.parents)) and len(ask.parents) <= len(left):
            return list(left[: len(ask.parents)])
    return None
