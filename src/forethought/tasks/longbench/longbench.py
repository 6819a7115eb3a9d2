"""Long documents with questions of many kinds, from a file in LongBench's format.

Paper: LongBench, arXiv:2308.14508
Score: the data set's metric: word F1, ROUGE-L, edit similarity, class or number; the best over
    all references.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from forethought.contracts.parameters import CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.longbench._datasets import RESPOND, DataSet, data_set
from forethought.tasks.longbench._metrics import Metric, score
from forethought.tasks.rows import TEXT, Row, Rows, drawn, rows, shortened

_FIELDS = {"_id": TEXT, "input": TEXT, "context": TEXT, "answers": (list,), "dataset": TEXT}


@dataclass(frozen=True)
class LongBench(Task):
    """Questions about long documents, scored by the metric of their data set."""

    path: str
    """A JSONL file with the fields _id, input, context, answers and dataset."""
    metric: Literal["auto", "f1", "rouge-l", "code", "classification", "retrieval", "count"] = (
        "auto"
    )
    """Metric of answers; auto: LongBench's metric for the data set."""
    count: CountOrZero = 0
    """Number of questions; 0 is all of them."""
    seed: CountOrZero = 0
    """0 keeps the file's order; other seeds shuffle it."""
    skip_bad: bool = False
    """Leave out invalid lines instead of stopping at the first one."""
    longest: CountOrZero = 0
    """Most tokens of an answer; 0: LongBench's limit for the data sets of the file."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens an answer needs."""
        return self.longest or max(
            _known(row.values["dataset"], self.metric).tokens for row in self._rows().good
        )

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        for row in drawn(self._rows(), self.count, self.seed):
            yield self._question(row)

    def check(self, question: Question, answer: str) -> float:
        """The best metric of the answer over all references."""
        data = question.data
        if _known(data["dataset"], self.metric).first_line:
            answer = answer.lstrip("\n").partition("\n")[0]
        return max(
            score(data["metric"], answer, reference, data["chinese"], data["classes"])
            for reference in question.answers
        )

    def notes(self) -> tuple[str, ...]:
        """A note on each line that is left out."""
        return self._rows().notes

    def _rows(self) -> Rows:
        return rows(self.path, _FIELDS, self.skip_bad, identifier="_id", problem=self._problem)

    def _problem(self, values: Mapping[str, Any]) -> str:
        answers, name = values["answers"], values["dataset"]
        if not answers or not _texts(answers):
            return f"answers is {shortened(answers)}, not one text or more"
        if self.metric == "auto" and data_set(name) is None:
            return f"dataset {name!r} is not one of LongBench's; set metric"
        classes = values.get("all_classes")
        if _known(name, self.metric).metric == "classification" and not _texts(classes):
            return f"all_classes is {shortened(classes)}, not a list of texts"
        return ""

    def _question(self, row: Row) -> Question:
        values = row.values
        known = _known(values["dataset"], self.metric)
        return Question(
            identifier=values["_id"],
            text=known.instruction.format(values["input"]).strip(),
            document=values["context"],
            answers=tuple(values["answers"]),
            cluster=sha256(values["context"].encode()).hexdigest()[:16],
            data={
                "dataset": values["dataset"],
                "metric": known.metric,
                "chinese": values.get("language") == "zh",
                "classes": values.get("all_classes") or [],
            },
        )


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _known(name: str, metric: Literal["auto"] | Metric) -> DataSet:
    """The data set, with a stated metric applied; unknown names get defaults."""
    known = data_set(name) or DataSet("f1", 128, RESPOND)
    chosen: Metric = known.metric if metric == "auto" else metric
    return DataSet(chosen, known.tokens, known.instruction, known.first_line)
