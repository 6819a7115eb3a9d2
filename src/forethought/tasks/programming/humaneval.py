"""Python functions to complete from their docstring, judged by their tests, from a file.

Paper: HumanEval, arXiv:2107.03374
Score: 1 if the function passes all of its tests in the sandbox.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task, Tests
from forethought.tasks import sandbox
from forethought.tasks.programming._hidden import parts
from forethought.tasks.programming._shown import shown_tests
from forethought.tasks.rows import TEXT, Row, Rows, drawn, rows

_FIELDS = {"task_id": TEXT, "prompt": TEXT, "entry_point": TEXT, "test": TEXT}


@dataclass(frozen=True)
class HumanEval(Task):
    """Python functions to complete from their docstring, judged by their tests."""

    path: str
    """A JSONL file with the fields task_id, prompt, entry_point and test."""
    count: CountOrZero = 0
    """How many questions; 0 is all of them."""
    seed: CountOrZero = 0
    """0 keeps the file's order; other seeds draw in another order."""
    skip_bad: bool = False
    """Leave out lines that cannot be used, instead of stopping at the first one."""
    answer_tokens: Count = 512
    """Most tokens of an answer."""
    seconds: Count = 10
    """Longest time that the tests of one answer may take; each alone has a second at least."""

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        return (_question(row) for row in drawn(self._rows(), self.count, self.seed))

    def check(self, question: Question, answer: str) -> float:
        """1 if the tests pass; a SandboxError if they could not be run."""
        return float(self._runs(program(question, answer)))

    @property
    def has_tests(self) -> bool:
        """Whether answers are programs: they are."""
        return True

    def passed(self, question: Question, answer: str, tests: Tests) -> float:
        """The share of tests that pass, each run by itself where not all of them do."""
        code, entry = defined(question, answer), question.data["entry_point"]
        if tests == "all":
            alone = [f"{part}\n\ncheck({entry})\n" for part in parts(question.data["test"])]
            return self._share(code, program(question, answer), alone)
        shown = shown_tests(question.data["prompt"], entry)
        return self._share(code, _joined(code, *shown), shown)

    def _share(self, code: str, together: str, tests: Sequence[str]) -> float:
        """1 where a program passes all tests together, else the share that pass alone."""
        if self._runs(together):
            return 1.0
        size = len(tests)
        if size < 2 or not self._runs(code, size):
            return 0.0
        passed = sum(self._runs(_joined(code, test), size) for test in tests)
        # If each passes alone, one of them disturbs another.
        return min(passed, size - 1) / size

    def _runs(self, code: str, shared_by: int = 1) -> bool:
        """Whether a program runs to its end, within its share of the time."""
        seconds = max(1, self.seconds // shared_by)
        limits = sandbox.Limits(seconds=seconds, cpu_seconds=seconds)
        return sandbox.run(code, limits).status == "passed"

    def notes(self) -> tuple[str, ...]:
        """What was wrong with each line that is left out."""
        return self._rows().notes

    def _rows(self) -> Rows:
        return rows(self.path, _FIELDS, self.skip_bad, identifier="task_id")


def program(question: Question, answer: str) -> str:
    """The prompt's code, the answer's, and the tests."""
    entry = question.data["entry_point"]
    return _joined(defined(question, answer), question.data["test"], f"check({entry})\n")


def defined(question: Question, answer: str) -> str:
    """The prompt's code and the answer's.

    An answer with the whole function comes after the prompt, whose imports and helpers it may
    need; an answer with a mere body goes on where the prompt ends.
    """
    code, entry = code_of(answer), question.data["entry_point"]
    if not re.search(rf"^def\s+{re.escape(entry)}\b", code, re.MULTILINE):
        code = code if code[:1] in (" ", "\t") else textwrap.indent(code, "    ")
    return _joined(question.data["prompt"].rstrip(), code)


def _joined(*texts: str) -> str:
    return "\n\n".join(texts)


def code_of(answer: str) -> str:
    """The fenced block of an answer, the longest of several; all of it where there is none."""
    blocks = re.findall(
        r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```|\Z)", answer, re.DOTALL | re.MULTILINE
    )
    return str(max(blocks, key=len)) if blocks else answer.strip("\n")


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
