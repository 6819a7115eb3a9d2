"""Questions with a checker: what a task hands out, and what is kept of an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from forethought.contracts.errors import UsageError

Measure = Callable[[str], int]
"""How many tokens a text has for the model that will be asked."""
Tests = Literal["visible", "all"]
"""Tests of a program: those that its question shows, or all there are."""


@dataclass(frozen=True)
class Question:
    """One thing to ask, and how its answer is judged."""

    identifier: str
    """Unique within its task; the same whenever the task is made with the same settings."""
    text: str
    """What is asked."""
    document: str = ""
    """What it is asked about; empty where the question stands alone."""
    answers: tuple[str, ...] = ()
    """Reference answers; what they mean is the checker's business."""
    cluster: str = ""
    """Questions made from one source share it; empty where each stands for itself."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """What else the checker needs; plain JSON values."""

    @property
    def asked(self) -> str:
        """The question, its document in front."""
        return f"{self.document}\n\n{self.text}" if self.document else self.text


class Task(Protocol):
    """Questions with a checker. Implementations are frozen dataclasses that derive from it."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens an answer needs."""
        ...

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; the same settings and measure give the same ones."""
        ...

    def check(self, question: Question, answer: str) -> float:
        """How right an answer is, from 0 to 1.

        A wrong answer scores 0; what keeps an answer from being judged is an error, never a 0.
        """
        ...

    def promise(self, question: Question, text: str) -> float:
        """1 where the beginning of an answer can still become right, 0 where it went wrong.

        UsageError for tasks whose steps cannot be checked.
        """
        raise UsageError(
            "this task tells only whole answers right from wrong",
            "name a task whose steps are checked; see: forethought list steps",
        )

    @property
    def has_tests(self) -> bool:
        """Whether answers are programs, which `passed` tries out."""
        return False

    def passed(self, question: Question, answer: str, tests: Tests) -> float:
        """The share of these tests that an answer passes; 1 for all alone if `check` gives 1.

        Without a single test to be seen, 1 where the program loads. What keeps tests from being
        run is an error, never a 0. UsageError for tasks without tests.
        """
        raise UsageError(
            "the answers of this task are no programs with tests",
            "name a task that has tests, such as humaneval, or another scorer",
        )


@dataclass(frozen=True)
class Sample:
    """One answer to one question of a task, judged and ready to be kept."""

    key: str
    """Names it by all that decides it: recipe, task, question, data and number."""
    recipe: str
    """Spelling of the recipe, options and seed included where they differ from defaults."""
    task: str
    """Spelling of the task."""
    question: str
    """Identifier of the question within the task."""
    cluster: str
    """Questions made from one source share it; the question's identifier where it has none."""
    number: int
    """Which answer of several to the same question, from 0."""
    score: float
    """From 0 to 1."""
    run: Mapping[str, Any]
    """The document of the run, as `Run.document` makes it, without the places it kept."""
    provenance: Mapping[str, str]
    """Versions of the libraries, the hardware, and the hash of the question's data."""
