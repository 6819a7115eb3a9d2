"""A task on the toy laws, and a strategy that takes the best of n."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.contracts.questions import Question, Task
from forethought.contracts.search import Candidate, Found, Piece, Strategy, score, write


@dataclass(frozen=True)
class Letters(Task):
    """Right is an answer of a alone; half right one that begins so."""

    answer_tokens = 3

    def questions(self, measure):
        yield Question("q", "What?")

    def check(self, question, answer):
        return 1.0 if answer and set(answer) == {"a"} else 0.25 * answer.startswith("a")


@dataclass(frozen=True)
class StepLetters(Letters):
    """The same, where beginnings can be checked too."""

    def promise(self, question, text):
        return float(set(text) <= {"a"})


@dataclass(frozen=True)
class Best(Strategy):
    """The best of n by the scorer, of equal ones the first."""

    n: int = 4
    scores = True

    def search(self, start, rng):
        answers = yield from write([start] * self.n)
        marks = yield from score(answers)
        return Found(answers[marks.index(max(marks))], tuple(answers), tuple(marks))


def candidate(*pieces, finish="stop", path=None, question="", log_probability=-1.0):
    """A candidate of these pieces, a token each."""
    one = Candidate(question=question)
    for at, text in enumerate(pieces):
        ended = finish if at == len(pieces) - 1 else ""
        one = one.grown(0, Piece(text, (), 1, log_probability, ended or "step"))
    return one if path is None else Candidate(**{**vars(one), "path": path})


def scored(scorer, candidates, question=None, answers=()):
    """The numbers of a scorer that asks only what `answers` hold; the asks too."""
    given, asks = iter(answers), []
    generator = scorer.score(question or Question("q", "What?"), candidates)
    try:
        ask = next(generator)
        while True:
            asks.append(ask)
            ask = generator.send(next(given, None))
    except StopIteration as stopped:
        return stopped.value, asks
