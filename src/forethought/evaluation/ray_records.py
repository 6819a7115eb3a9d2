"""The messages between an evaluation and its workers: plain data, as JSON texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from forethought import catalogue
from forethought.contracts.errors import ClusterError, ForethoughtError
from forethought.contracts.questions import Question
from forethought.cost.prices import Price
from forethought.evaluation.wanted_sample import WantedSample
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch_question import BatchQuestion


@dataclass(frozen=True)
class WorkerSettings:
    """The settings of a worker."""

    version: str
    """The version of forethought in the process that evaluates."""
    endpoint: str
    """The server that the worker asks; empty if its models run on its own machine."""
    threads: int
    prices: Mapping[str, Price]

    def text(self) -> str:
        """The settings as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> WorkerSettings:
        """Parse the JSON of `text`."""
        fields = json.loads(text)
        prices = {name: Price(**price) for name, price in fields.pop("prices").items()}
        return cls(**fields, prices=prices)


@dataclass(frozen=True)
class ErrorRecord:
    """A typed error as plain values."""

    kind: str
    message: str
    hint: str

    @classmethod
    def of(cls, error: ForethoughtError) -> ErrorRecord:
        """The record of an error."""
        return cls(type(error).__name__, error.message, error.hint)

    def text(self) -> str:
        """The record as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> ErrorRecord:
        """Parse the JSON of `text`."""
        return cls(**json.loads(text))

    @property
    def error(self) -> ForethoughtError:
        """The error again, of its own class."""
        known = {one.__name__: one for one in _kinds(ForethoughtError)}
        return known.get(self.kind, ClusterError)(self.message, self.hint)


@dataclass(frozen=True)
class Lookup:
    """Asks for the stored outcome of a request; the worker waits for the reply."""

    key: str


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request, for the replay log."""

    key: str
    document: dict[str, Any]
    """See `outcome_document`."""


@dataclass(frozen=True)
class Answered:
    """The answer to a question of the cell."""

    place: int
    run: dict[str, Any]
    made: dict[str, str]


@dataclass(frozen=True)
class Refused:
    """A question of the cell that does not fit its recipe."""

    place: int
    error: ErrorRecord


@dataclass(frozen=True)
class Failed:
    """The error that ended the cell."""

    error: ErrorRecord


Report = Lookup | Outcome | Answered | Refused | Failed
_REPORTS = {one.__name__: one for one in (Lookup, Outcome, Answered, Refused, Failed)}


def reports_text(reports: Sequence[Report]) -> str:
    """Reports as JSON."""
    return json.dumps([[type(one).__name__, asdict(one)] for one in reports])


def reports_of(text: str) -> Iterator[Report]:
    """The reports of a JSON text."""
    for kind, fields in json.loads(text):
        if "error" in fields:
            fields["error"] = ErrorRecord(**fields["error"])
        yield _REPORTS[kind](**fields)


def cell_text(cell: Sequence[WantedSample]) -> str:
    """The questions of a cell as JSON; a task goes by its spelling."""
    return json.dumps([_entry(one) for one in cell])


def cell_of(text: str) -> list[BatchQuestion]:
    """The questions of a JSON text, ready to run."""
    return [_question(**entry) for entry in json.loads(text)]


def _entry(one: WantedSample) -> dict[str, Any]:
    question = {**asdict(one.question), "data": dict(one.question.data)}
    task = catalogue.spelled(one.origin) if one.recipe.scorer else ""
    return {"recipe": one.recipe.to_json(), "question": question, "task": task}


def _question(recipe: str, question: dict[str, Any], task: str) -> BatchQuestion:
    source = Question(**{**question, "answers": tuple(question["answers"])})
    # Only a scorer asks the task.
    origin = catalogue.build(task, "tasks") if task else None
    return BatchQuestion(Recipe.from_json(recipe), source.text, source.document, origin, source)


def _kinds(kind: type[ForethoughtError]) -> Iterator[type[ForethoughtError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)
