"""Confidence methods without a driver: each ask gets the next reply."""

from __future__ import annotations

from dataclasses import replace

from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate

ASKED = Question("q", "Which letter?", document="Letters are listed.")


def answer(text, place=0, **changes):
    """A whole answer to the question."""
    one = Candidate(path=(place,), asked=ASKED.asked, steps=(text,), tokens=3, finish="stop")
    return replace(one, **changes)


def said(method, one, samples=(), replies=()):
    """The estimate of an answer, and the asks that led to it."""
    given, asks = iter(replies), []
    generator = method.confidence(ASKED, one, [one, *samples])
    try:
        ask = next(generator)
        while True:
            asks.append(ask)
            ask = generator.send(next(given))
    except StopIteration as stopped:
        return stopped.value, asks
