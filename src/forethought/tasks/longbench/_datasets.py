"""LongBench's data sets: instruction, metric and answer length of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forethought.tasks.longbench._metrics import Metric

ANSWER = (
    "Answer the question from the text above, in as few words as possible.\n\nQuestion: {input}"
)
RESPOND = "Answer from the text above, in one or more sentences.\n\n{input}"
SUMMARY = "Write a summary of the text above, one page at most.{input}"
GO_ON = "Go on as in the examples above: give only what comes next.\n\n{input}"
NEXT_LINE = "Write the next line of the code above, and nothing else.{input}"
NEXT_LINE_OF = "Write the next line of the code below, and nothing else.\n\n{input}"
HOW_MANY = (
    "Some of the paragraphs above may be repeated. How many different ones are there? "
    "Answer with the number only.{input}"
)
WHICH = (
    "Below is a summary of one of the paragraphs above. Which one is it? "
    "Answer with its name only, such as Paragraph 1.\n\n{input}"
)


@dataclass(frozen=True)
class DataSet:
    """Instruction and metric of one data set."""

    metric: Metric
    tokens: int
    """Most tokens of an answer."""
    instruction: str
    """Instruction, with a placeholder for the input."""
    first_line: bool = False
    """Whether only the first line counts, since few-shot answers continue with new examples."""
    chinese: bool = False
    """Whether words are found by segmentation."""


DATA_SETS: Mapping[str, DataSet] = {
    "narrativeqa": DataSet("f1", 128, ANSWER),
    "qasper": DataSet("f1", 128, ANSWER),
    "multifieldqa_en": DataSet("f1", 64, ANSWER),
    "multifieldqa_zh": DataSet("f1", 64, ANSWER, chinese=True),
    "hotpotqa": DataSet("f1", 32, ANSWER),
    "2wikimqa": DataSet("f1", 32, ANSWER),
    "musique": DataSet("f1", 32, ANSWER),
    "dureader": DataSet("rouge-l", 128, RESPOND, chinese=True),
    "gov_report": DataSet("rouge-l", 512, SUMMARY),
    "qmsum": DataSet("rouge-l", 512, RESPOND),
    "multi_news": DataSet("rouge-l", 512, SUMMARY),
    "vcsum": DataSet("rouge-l", 512, SUMMARY, chinese=True),
    "trec": DataSet("classification", 64, GO_ON, first_line=True),
    "triviaqa": DataSet("f1", 32, GO_ON, first_line=True),
    "samsum": DataSet("rouge-l", 128, GO_ON, first_line=True),
    "lsht": DataSet("classification", 64, GO_ON, first_line=True),
    "passage_count": DataSet("count", 32, HOW_MANY),
    "passage_retrieval_en": DataSet("retrieval", 32, WHICH),
    "passage_retrieval_zh": DataSet("retrieval", 32, WHICH),
    "lcc": DataSet("code", 64, NEXT_LINE),
    "repobench-p": DataSet("code", 64, NEXT_LINE_OF),
}


def data_set(name: str) -> DataSet | None:
    """The data set of this name or of its `_e` variant; None if unknown."""
    return DATA_SETS.get(name.removesuffix("_e"))
