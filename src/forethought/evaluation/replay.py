"""Replay of a strategy on stored answers; no model runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forethought.contracts.search import Ask, Candidate, Found, Group, Strategy, Write
from forethought.tasks.same_answers import SameAnswers


def replayed(strategy: Strategy, answers: Sequence[Candidate]) -> tuple[int, int] | None:
    """The index of the answer that the strategy chooses, and the number of answers it draws.

    None if it asks for more answers than `answers` holds, or for anything but plain samples.
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
        given = _reply(ask, start, answers[drawn:])
        if given is None:
            return None
        drawn += len(given) if isinstance(ask, Write) else 0
        sent = given


def _reply(ask: Ask, start: Candidate, left: Sequence[Candidate]) -> list[Any] | None:
    match ask:
        case Group():
            return SameAnswers().group(ask.candidates)
        case Write() if ask == Write((start,) * len(ask.parents)) and len(ask.parents) <= len(left):
            return list(left[: len(ask.parents)])
    return None
