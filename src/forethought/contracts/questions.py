"""Tasks, their questions and checkers, and the samples that the store keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from forethought.contracts.errors import UsageError

Measure = Callable[[str], int]
"""Counts the tokens of a text with the tokenizer of the model under test."""
Outcome = Literal["", "parsed", "unparsable", "unscored"]
"""Whether the scorer read a result from an answer. An unparsable answer counts as wrong. An
unscored one is unparsable too, and scores leave it out. Empty if a file does not say."""
Tests = Literal["visible", "all"]
"""The tests of a program: those that the question shows, or all of them."""


@dataclass(frozen=True)
class Question:
    """A question and the reference data for its checker."""

    identifier: str
    """Unique within its task; equal settings of the task give equal identifiers."""
    text: str
    """The question itself."""
    document: str = ""
    """The document that the question is about; empty without one."""
    answers: tuple[str, ...] = ()
    """Reference answers, in the form that the checker expects."""
    cluster: str = ""
    """Shared by all questions from one source; empty for independent questions."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Other data for the checker; plain JSON values."""

    @property
    def asked(self) -> str:
        """The document, then the question."""
        return f"{self.document}\n\n{self.text}" if self.document else self.text


class Task(Protocol):
    """Questions with a checker. Implementations are frozen dataclasses that derive from it."""

    @property
    def answer_tokens(self) -> int:
        """Maximum tokens of an answer."""
        ...

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; deterministic for given settings and measure."""
        ...

    def check(self, question: Question, answer: str) -> float:
        """The score of an answer, from 0 to 1.

        A wrong answer scores 0. An answer that cannot be judged raises an error.
        """
        ...

    def promise(self, question: Question, text: str) -> float:
        """1 if a partial answer can still become correct, else 0.

        Raises UsageError for tasks without checkable steps.
        """
        raise UsageError(
            "this task checks only whole answers",
            "name a task whose steps are checked; see: forethought list steps",
        )

    def stated(self, answer: str) -> str:
        """The part of an answer that `check` judges; equal for answers that must score alike.

        By default all words, in lower case.
        """
        return " ".join(answer.split()).casefold()

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether `check` can read a result from an answer, right or wrong.

        By default, whether `stated` finds one.
        """
        return bool(self.stated(answer))

    @property
    def scores_unparsable(self) -> bool:
        """Whether the published scorer counts an answer without a readable result as wrong.

        If not, the score of the task leaves such answers out.
        """
        return True

    @property
    def has_tests(self) -> bool:
        """Whether answers are programs that `passed` can test."""
        return False

    def passed(self, question: Question, answer: str, tests: Tests) -> float:
        """The share of these tests that an answer passes; 1 for all tests only if `check` gives 1.

        Without visible tests, 1 if the program loads. Tests that cannot run raise an error.
        Raises UsageError for tasks without tests.
        """
        raise UsageError(
            "this task has no programs to test",
            "name a task with tests, such as humaneval, or another scorer",
        )


@dataclass(frozen=True)
class Sample:
    """A scored answer to one question of a task, as the store keeps it."""

    key: str
    """A hash of the recipe, task, question, data and number."""
    recipe: str
    """The recipe's label: its spelling, and settings that differ from the defaults."""
    task: str
    """The task's spelling."""
    question: str
    """The question's identifier within the task."""
    cluster: str
    """The question's cluster, or its identifier if it has none."""
    number: int
    """The index of this answer among several to the same question."""
    score: float
    """From 0 to 1."""
    run: Mapping[str, Any]
    """The document of the run, as `Run.document` makes it, without the kept positions."""
    provenance: Mapping[str, str]
    """Versions of the libraries, the hardware, and the hash of the question's data."""
    outcome: Outcome = ""
    """Whether a result could be read from the answer."""

    @property
    def scored(self) -> bool:
        """Whether the score counts: not that of an answer that its task leaves out."""
        return self.outcome != "unscored"


def outcome_of(task: Task, question: Question, answer: str, score: float) -> Outcome:
    """Whether a result can be read from an answer with this score."""
    if score > 0 or task.parsed(question, answer):
        return "parsed"
    return "unparsable" if task.scores_unparsable else "unscored"
