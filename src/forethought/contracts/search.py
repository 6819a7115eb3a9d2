"""Searching for an answer: what a strategy asks for, what it is given, and what it finds.

A strategy is a generator: it yields asks and is sent what they gave. It never touches a model,
a clock or a network, so that one driver can serve many searches at once, hold each within its
budget, and repeat any of them token for token.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from forethought.contracts.candidates import Candidate as Candidate
from forethought.contracts.candidates import NextToken as NextToken
from forethought.contracts.candidates import Path as Path
from forethought.contracts.candidates import Piece as Piece
from forethought.contracts.candidates import Writer as Writer
from forethought.contracts.questions import Question, Task
from forethought.contracts.records import Cost

if TYPE_CHECKING:
    import numpy as np

Ability = Literal["draft", "steps", "log-probabilities", "certainty", "verdicts", "next-tokens"]
"""What a back end may lack: a second model that writes too, to go on from a prefix, the chance of
each token written, how sure the model was of each, the chances of one-word answers, and those of
the tokens that may follow."""
Until = Literal["end", "step"]


@dataclass(frozen=True)
class Write:
    """One child of each of these candidates: sent back as candidates, in order.

    A candidate may stand here several times. Those that are done come back as they are.
    """

    parents: tuple[Candidate, ...]
    until: Until = "end"
    delimiter: str = "\n\n"
    """What ends a step; it belongs to the step."""
    temperature: float | None = None
    """The recipe's where None."""
    max_tokens: int | None = None
    """Most tokens to add; as many as the recipe allows where None."""
    tokens: tuple[int, ...] = ()
    """The first token of each child, where they are given and not drawn."""


@dataclass(frozen=True)
class Next:
    """What may follow each of these candidates: sent back as a list of NextToken each.

    The likeliest first; nothing behind a candidate that is done.
    """

    candidates: tuple[Candidate, ...]
    top: int
    """Tokens that go on, the likeliest; the likeliest that ends the answer stands among them."""


@dataclass(frozen=True)
class Score:
    """What the run's scorer thinks of each candidate: sent back as numbers from 0 to 1."""

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Group:
    """Which candidates say the same: sent back as a number each, None for no answer.

    Equal numbers are equal answers; they count up from 0 as answers first appear.
    """

    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Verdict:
    """A model's chances of each of `choices` as its answer to each question.

    Sent back as a list of chances for each question, which sum to 1.
    """

    questions: tuple[str, ...]
    choices: tuple[str, ...]
    by: str = ""
    """The address of the model that gives them, where that is not the run's own."""


@dataclass(frozen=True)
class Charge:
    """What a scorer is about to spend on a model of its own: nothing is sent back.

    Where the budget does not cover it the search ends here, before anything is spent.
    """

    cost: Cost


Ask = Write | Next | Score | Group | Verdict | Charge
Search = Generator[Ask, Any, "Found"]
Scores = Generator[Ask, Any, "list[float]"]


@dataclass(frozen=True)
class Found:
    """What a search came to."""

    best: Candidate
    considered: tuple[Candidate, ...] = ()
    """All answers that were chosen among, in the order they were written."""
    weights: tuple[float, ...] = ()
    """What each of them counted for."""
    confidence: float | None = None
    """Share of the weight that agrees with the best."""
    pruned: tuple[Candidate, ...] = ()
    """What was given up on the way."""
    notes: tuple[str, ...] = ()


class Strategy(Protocol):
    """A way to spend more than one pass on a question. Its defaults change nothing."""

    @property
    def needs(self) -> frozenset[Ability]:
        """What the back end must be able to do."""
        return frozenset()

    @property
    def scores(self) -> bool:
        """Whether a scorer must be named."""
        return False

    @property
    def draws_alike(self) -> bool:
        """Whether all that it writes are independent answers of one law, as many whatever they say.

        What fewer of them would have come to can then be told from them.
        """
        return False

    @property
    def chooses(self) -> Literal["vote", "score", ""]:
        """By what alone: equal votes, or the greatest score; empty for any other rule."""
        return ""

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Search from an empty candidate; all chance is in what is sent, and in `rng`."""
        ...


class Scorer(Protocol):
    """Tells how good candidates are, whole answers or beginnings of them."""

    needs: ClassVar[frozenset[Ability]] = frozenset()
    """What the back end must be able to do."""

    @property
    def by(self) -> str:
        """The address of the model on a server that it asks for verdicts; empty for none."""
        return ""

    def on_task(self, task: Task | None) -> Scorer:
        """The scorer for questions of a task, or for one that belongs to none.

        UsageError where it cannot score without one.
        """
        return self

    def score(self, question: Question, candidates: Sequence[Candidate]) -> Scores:
        """A number from 0 to 1 for each candidate, in order; higher is better."""
        ...


class Reader(Protocol):
    """Tells which answers are the same."""

    def group(self, candidates: Sequence[Candidate]) -> list[int | None]:
        """A number for each candidate; None where it holds no answer."""
        ...


def write(
    parents: Iterable[Candidate],
    *,
    until: Until = "end",
    delimiter: str = "\n\n",
    temperature: float | None = None,
    max_tokens: int | None = None,
    tokens: Iterable[int] = (),
) -> Generator[Ask, Any, list[Candidate]]:
    """Ask for one child of each of these."""
    asked = Write(tuple(parents), until, delimiter, temperature, max_tokens, tuple(tokens))
    return list((yield asked))


def following(
    candidates: Iterable[Candidate], top: int
) -> Generator[Ask, Any, list[tuple[NextToken, ...]]]:
    """Ask what may follow each of these."""
    return list((yield Next(tuple(candidates), top)))


def take(
    parents: Iterable[Candidate], tokens: Iterable[int]
) -> Generator[Ask, Any, list[Candidate]]:
    """Ask for the child of each of these that the token beside it makes."""
    return list((yield Write(tuple(parents), max_tokens=1, tokens=tuple(tokens))))


def score(candidates: Iterable[Candidate]) -> Generator[Ask, Any, list[float]]:
    """Ask what the scorer thinks."""
    return list((yield Score(tuple(candidates))))


def group(candidates: Iterable[Candidate]) -> Generator[Ask, Any, list[int | None]]:
    """Ask which say the same."""
    return list((yield Group(tuple(candidates))))


def verdicts(
    questions: Iterable[str], choices: Sequence[str], *, by: str = ""
) -> Generator[Ask, Any, list[tuple[float, ...]]]:
    """Ask for the chances of each choice."""
    return list((yield Verdict(tuple(questions), tuple(choices), by)))


def charge(cost: Cost) -> Generator[Ask, Any, None]:
    """Ask for what is spent next to be charged."""
    yield Charge(cost)
