"""Long documents with questions of many kinds, from a file in LongBench's format.

Paper: LongBench, arXiv:2308.14508
Score: the published scorer's metric of the data set: word F1, ROUGE-L, similarity of code, class or
    number; the best over all references.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal

from forethought.contracts.errors import BadDataError
from forethought.contracts.parameters import CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.longbench._datasets import RESPOND, DataSet, data_set
from forethought.tasks.longbench._metrics import Metric, Segment, paragraph, score
from forethought.tasks.longbench._prompts import PromptForm, prompts
from forethought.tasks.longbench._segmentation import segmentation
from forethought.tasks.rows import TEXT, Row, Rows, drawn, rows, shortened

_OF_WORDS = ("f1", "rouge-l")
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
    prompts: str = ""
    """A JSON file with a prompt for each data set, in the format of LongBench's
    dataset2prompt.json; empty: instructions of this project."""
    chinese: Literal["jieba", "characters"] = "jieba"
    """Words of Chinese answers. LongBench uses the package jieba, which needs installation;
    characters needs no package and scores otherwise."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens an answer needs."""
        return self.longest or max(
            _known(row.values["dataset"], self.metric).tokens for row in self._rows().good
        )

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order."""
        given = prompts(self.prompts) if self.prompts else None
        for row in drawn(self._rows(), self.count, self.seed):
            yield self._question(row, given)

    def check(self, question: Question, answer: str) -> float:
        """The best metric of the answer over all references."""
        data = question.data
        if _known(data["dataset"], self.metric).first_line:
            answer = answer.lstrip("\n").partition("\n")[0]
        segment = self._segment(data["words"])
        return max(
            score(data["metric"], answer, reference, segment, data["classes"])
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
        metric = _known(name, self.metric).metric
        if metric == "classification" and not _texts(classes):
            return f"all_classes is {shortened(classes)}, not a list of texts"
        if metric == "retrieval" and not all(map(paragraph, answers)):
            return f"answers is {shortened(answers)}, not a text such as 'Paragraph 3' each"
        return ""

    def _segment(self, words: str) -> Segment | None:
        return None if words == "spaces" else segmentation(self.chinese)

    def _question(self, row: Row, given: Mapping[str, PromptForm] | None) -> Question:
        values = row.values
        known = _known(values["dataset"], self.metric)
        prompt = _own(known) if given is None else _given(given, values["dataset"], self.prompts)
        words = self.chinese if _is_chinese(values, known) else "spaces"
        self._segment(words)  # before any answer is paid for
        return Question(
            identifier=values["_id"],
            text=prompt.question(values["input"]),
            document=prompt.document(values["context"]),
            answers=tuple(values["answers"]),
            cluster=sha256(values["context"].encode()).hexdigest()[:16],
            data={
                "dataset": values["dataset"],
                "metric": known.metric,
                "words": words,
                "classes": values.get("all_classes") or [],
            },
        )


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _known(name: str, metric: Literal["auto"] | Metric) -> DataSet:
    """The data set, with a stated metric applied; unknown names get defaults."""
    known = data_set(name) or DataSet("f1", 128, RESPOND)
    chosen: Metric = known.metric if metric == "auto" else metric
    return replace(known, metric=chosen)


def _is_chinese(values: Mapping[str, Any], known: DataSet) -> bool:
    """Whether a metric of words needs segmentation."""
    listed = data_set(values["dataset"]) is not None
    chinese = known.chinese if listed else values.get("language") == "zh"
    return chinese and known.metric in _OF_WORDS


def _own(known: DataSet) -> PromptForm:
    return PromptForm("", known.instruction)


def _given(of: Mapping[str, PromptForm], name: str, path: str) -> PromptForm:
    found = of.get(name) or of.get(name.removesuffix("_e"))
    if found is None:
        raise BadDataError(
            f"{path} has no prompt for dataset {name!r}; it has {shortened(list(of))}",
            "add one, or leave out prompts",
        )
    return found
