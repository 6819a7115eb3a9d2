"""Python functions to complete from their docstring, judged by tests, from a file.

Paper: HumanEval, arXiv:2107.03374
Score: 1 if the function passes all of its tests in the sandbox.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from forethought.contracts.errors import BadDataError
from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task, Tests
from forethought.tasks import sandbox as walled
from forethought.tasks.programming._answer import as_program, code_of, holds_program
from forethought.tasks.programming._hidden import parts
from forethought.tasks.programming._shown import shown_tests
from forethought.tasks.rows import TEXT, Row, Rows, drawn, rows

_FIELDS = {"task_id": TEXT, "prompt": TEXT, "entry_point": TEXT, "test": TEXT}


@dataclass(frozen=True)
class HumanEval(Task):
    """Python functions to complete from their docstring, judged by tests."""

    path: str
    """JSONL file with the fields task_id, prompt, entry_point and test."""
    count: CountOrZero = 0
    """Number of questions; 0 is all of them."""
    seed: CountOrZero = 0
    """0 keeps the file's order; other seeds shuffle it."""
    skip_bad: bool = False
    """Leave out invalid lines instead of stopping at the first one."""
    answer_tokens: Count = 512
    """Most tokens of an answer."""
    seconds: Count = 10
    """Time limit in seconds for the tests of one answer; each test has at least one second."""
    sandbox: Literal["available", "strict"] = "available"
    """available: run with the isolation layers that this system has; strict: require all."""

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; MissingWallsError if a required wall does not hold."""
        if self._needed:
            walled.run("", needed=self._needed)
        return (_question(row) for row in drawn(self._rows(), self.count, self.seed))

    def check(self, question: Question, answer: str) -> float:
        """1 if the tests pass, else 0; SandboxError or BadDataError if they cannot run."""
        return float(self._passes_all(question, answer))

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether the answer holds the function or a body for it, with or without mistakes."""
        return holds_program(answer, question.data["entry_point"])

    @property
    def has_tests(self) -> bool:
        """True: answers are programs."""
        return True

    def passed(self, question: Question, answer: str, tests: Tests) -> float:
        """The share of tests that pass; they run one by one unless all pass together.

        Tests that fail before they call the program do not count.
        """
        if tests == "all":
            if self._passes_all(question, answer):
                return 1.0
            alone = [_calling(part, question) for part in parts(question.data["test"])]
            return self._share(question, answer, alone)
        shown = shown_tests(question.data["prompt"], question.data["entry_point"])
        if self._run(question, answer, "\n\n".join(shown)).status == "passed":
            return 1.0
        return self._share(question, answer, shown)

    def _passes_all(self, question: Question, answer: str) -> bool:
        outcome = self._run(question, answer, _calling(question.data["test"], question))
        if outcome.status == "unfit":
            raise BadDataError(
                f"the tests of {question.identifier} cannot be run: {outcome.reason}",
                "mend the line, or take it out of the file",
            )
        return outcome.status == "passed"

    def _share(self, question: Question, answer: str, tests: Sequence[str]) -> float:
        """The share of tests that pass alone, for a program that does not pass all together."""
        size = max(len(tests), 1)
        if self._run(question, answer, "", size).status != "passed":
            return 0.0
        found = [self._run(question, answer, test, size).status for test in tests]
        fit = [verdict for verdict in found if verdict != "unfit"]
        if not fit:
            return 1.0
        # If every test passes alone, one of them disturbs another: the share stays below 1.
        most = len(fit) - (len(fit) == size)
        return min(fit.count("passed"), most) / len(fit)

    def _run(
        self, question: Question, answer: str, source: str, shared_by: int = 1
    ) -> walled.ProgramOutcome:
        """Run tests on an answer within their share of the time; without tests, only load it."""
        prompt, entry = question.data["prompt"], question.data["entry_point"]
        code = as_program(prompt, code_of(answer, entry), entry)
        tests = walled.ProgramTests(
            entry if source else "", source, _setup(prompt) if source else ""
        )
        seconds = max(1, self.seconds // shared_by)
        limits = walled.Limits(seconds=seconds, cpu_seconds=seconds)
        return walled.run(code, limits, tests, self._needed)

    @property
    def _needed(self) -> tuple[str, ...]:
        return walled.WALLS if self.sandbox == "strict" else ()

    def notes(self) -> tuple[str, ...]:
        """A note on each line that is left out, and on walls that this system lacks."""
        missing = ", ".join(walled.missing_walls())
        note = (
            f"programs ran without these isolation layers: {missing}; --sandbox strict refuses that"
        )
        return (*self._rows().notes, *([note] if missing else []))

    def _rows(self) -> Rows:
        return rows(self.path, _FIELDS, self.skip_bad, identifier="task_id")


def _calling(test: str, question: Question) -> str:
    """The test program, with a call of its `check`."""
    return f"{test}\n\ncheck({question.data['entry_point']})\n"


def _setup(prompt: str) -> str:
    """The prompt's code, with an empty body for the function to complete."""
    last = prompt.rstrip().rpartition("\n")[2]
    margin = last[: len(last) - len(last.lstrip())] + "    "
    for code in (prompt, f"{prompt.rstrip()}\n{margin}pass\n"):
        with suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            ast.parse(code)
            return code
    return ""


def _question(row: Row) -> Question:
    values = row.values
    return Question(
        identifier=values["task_id"],
        text=(
            "Complete this Python function. "
            "Answer with the whole function in one block of code.\n\n"
            f"```python\n{values['prompt'].rstrip()}\n```"
        ),
        data={name: values[name] for name in ("prompt", "entry_point", "test")},
    )
