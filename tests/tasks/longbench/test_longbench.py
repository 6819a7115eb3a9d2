import json
import sys
from pathlib import Path
from typing import Any

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadDataError, UsageError
from forethought.contracts.questions import Question
from forethought.tasks.longbench import _segmentation
from forethought.tasks.longbench._datasets import DATA_SETS

ROW = {
    "_id": "one",
    "input": "Who built it?",
    "context": "It was built by Ada.",
    "answers": ["Ada", "Ada Holt"],
    "dataset": "hotpotqa",
    "language": "en",
    "all_classes": None,
    "length": 5,
}


def asked(path: Path, settings: str = "", *rows: dict[str, Any]) -> tuple[Any, list[Question]]:
    file = path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = catalogue.build(f"longbench(path='{file}'{settings})", "tasks")
    return task, list(task.questions(len))


def scored(path: Path, answer: str, settings: str = "", **changes: Any) -> float:
    task, (question,) = asked(path, settings, {**ROW, **changes})
    return float(task.check(question, answer))


def test_a_line_becomes_a_question_about_its_document(tmp_path: Path) -> None:
    other = {**ROW, "_id": "two", "input": "When?"}

    _, (first, second) = asked(tmp_path, "", ROW, other)

    assert (first.identifier, first.document) == ("one", ROW["context"])
    assert "Who built it?" in first.text
    assert first.answers == ("Ada", "Ada Holt")
    assert first.cluster == second.cluster != ""
    assert json.loads(json.dumps(dict(first.data))) == first.data


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_data_set_is_asked_and_its_reference_scores_one(name: str, tmp_path: Path) -> None:
    answers = {"count": "7", "retrieval": "Paragraph 7"}.get(DATA_SETS[name].metric, "seven steps")
    changes = {"dataset": name, "answers": [answers], "all_classes": ["seven steps", "eight"]}

    task, (question,) = asked(tmp_path, ", chinese=characters", {**ROW, **changes})

    assert task.check(question, answers) == pytest.approx(1)
    assert task.check(question, "nothing like it: 99") < 0.5
    assert task.answer_tokens == DATA_SETS[name].tokens
    assert question.text


def test_twenty_one_data_sets_are_known_and_their_even_variants_too(tmp_path: Path) -> None:
    assert len(DATA_SETS) == 21
    assert scored(tmp_path, "Ada", dataset="hotpotqa_e") == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("the Ada!", 1),
        ("Ada Holt", 1),
        ("It was Ada", 1 / 2),  # one of three words against one: 2 * 1 / (3 + 1)
        ("Holt", 2 / 3),
        ("", 0),
        ("Ada Ada Ada", 1 / 2),
    ],
)
def test_words_are_compared_by_f1_with_the_best_reference(
    answer: str, expected: float, tmp_path: Path
) -> None:
    assert scored(tmp_path, answer) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["multifieldqa_zh", "mine"])
def test_chinese_may_be_compared_by_characters(name: str, tmp_path: Path) -> None:
    changes = {"dataset": name, "language": "zh", "answers": ["北京大学"]}
    settings = ", metric=f1, chinese=characters"

    assert scored(tmp_path, "北京。", settings, **changes) == pytest.approx(2 * 2 / (2 + 4))


def test_chinese_without_its_package_is_refused_before_the_first_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    _segmentation._jieba.cache_clear()

    with pytest.raises(UsageError, match="needs the package jieba") as raised:
        asked(tmp_path, "", {**ROW, "dataset": "vcsum"})

    assert "chinese=characters" in raised.value.hint
    asked(tmp_path, "", {**ROW, "dataset": "lsht", "language": "zh", "all_classes": ["a"]})


def test_summaries_are_compared_by_their_longest_common_subsequence(tmp_path: Path) -> None:
    changes = {"dataset": "gov_report", "answers": ["the cat sat on the mat"]}

    # Common: the cat the mat, 3 distinct words of 4 and of 5.
    assert scored(tmp_path, "the cat near the mat", **changes) == pytest.approx(6 / 9)


def test_code_is_compared_on_the_first_line_that_is_code(tmp_path: Path) -> None:
    changes = {"dataset": "lcc", "answers": ["return x"]}

    assert scored(tmp_path, "```python\n# so\nreturn x\nreturn y\n```", **changes) == 1
    assert scored(tmp_path, "return y", **changes) == 0.88  # of 14 / 16, in whole percents


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Number of something", 1),
        ("Number of something or Date", 1 / 2),
        ("Date", 0),
        ("Number of something\nDate", 1),
    ],
)
def test_classes_share_the_score_and_only_the_first_line_counts(
    answer: str, expected: float, tmp_path: Path
) -> None:
    classes = ["Number", "Number of something", "Date"]
    changes = {"dataset": "trec", "answers": ["Number of something"], "all_classes": classes}

    assert scored(tmp_path, answer, **changes) == expected


@pytest.mark.parametrize(
    ("answer", "expected"), [("Paragraph 3", 1), ("3 or 13", 1 / 2), ("13", 0)]
)
def test_paragraphs_are_compared_by_number(answer: str, expected: float, tmp_path: Path) -> None:
    changes = {"dataset": "passage_retrieval_en", "answers": ["Paragraph 3"]}

    assert scored(tmp_path, answer, **changes) == expected


def test_a_metric_may_be_chosen_for_data_of_ones_own(tmp_path: Path) -> None:
    assert scored(tmp_path, "it was ada", ", metric=rouge-l", dataset="mine") == 0
    assert scored(tmp_path, "it was Ada", ", metric=rouge-l", dataset="mine") == pytest.approx(
        1 / 2
    )


def test_the_longest_answer_may_be_set(tmp_path: Path) -> None:
    assert asked(tmp_path, ", longest=7", ROW)[0].answer_tokens == 7
    assert asked(tmp_path, "", ROW, {**ROW, "_id": "2", "dataset": "qmsum"})[0].answer_tokens == 512


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"answers": []}, r"answers is \[\]"),
        ({"answers": [3]}, r"answers is \[3\]"),
        ({"dataset": "mine"}, "dataset 'mine' is not one of LongBench's; set metric"),
        ({"dataset": "trec"}, "all_classes is None, not a list of texts"),
        ({"dataset": "trec", "all_classes": [1]}, r"all_classes is \[1\], not a list of texts"),
        ({"context": None}, "context is None"),
        (
            {"dataset": "passage_retrieval_en", "answers": ["Paragraph 1", "the third"]},
            r"answers is \['Paragraph 1', 'the third'\], not a text such as 'Paragraph 3' each",
        ),
    ],
)
def test_a_line_that_cannot_be_judged_is_named_or_skipped(
    changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    bad = {**ROW, "_id": "bad", **changes}

    with pytest.raises(BadDataError, match=f"line 2: {problem}"):
        asked(tmp_path, "", ROW, bad)

    task, questions = asked(tmp_path, ", skip_bad=true", ROW, bad)
    assert [question.identifier for question in questions] == ["one"]
    assert len(task.notes()) == 1


def test_prompts_may_come_from_a_file_in_the_published_format(tmp_path: Path) -> None:
    prompt = "Read {{this}}.\n\n{context}\n\n Now say:\n{input}\nAnswer: "
    file = tmp_path / "prompts.json"
    file.write_text(json.dumps({"hotpotqa": prompt}))
    row = {**ROW, "input": "{Who}?", "context": "By {Ada}."}

    for name in ("hotpotqa", "hotpotqa_e"):
        _, (question,) = asked(tmp_path, f", prompts='{file}'", {**row, "dataset": name})

        assert question.asked == prompt.format(context=row["context"], input=row["input"])
        assert question.document == "Read {this}.\n\nBy {Ada}."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not JSON"),
        ("\udcff", "is not JSON"),
        ("[]", r"is \[\], not a JSON object"),
        ('{"hotpotqa": 3}', "the prompt of 'hotpotqa' in .* is 3, without one {context}"),
        ('{"hotpotqa": "{input}"}', "without one {context}"),
        ('{"hotpotqa": "{context}{context}"}', "without one {context}"),
        ('{"hotpotqa": "{input} {context}"}', "has a placeholder before {context}"),
        ('{"hotpotqa": "{context} {length}"}', "has a wrong placeholder: 'length'"),
        ('{"hotpotqa": "{context} {"}', "has a wrong placeholder"),
        ('{"hotpotqa": "{ {context}"}', "has a wrong placeholder"),
        ('{"hotpotqa": "{context} {input.real}"}', "has a wrong placeholder"),
        ('{"lcc": "{context}"}', "has no prompt for dataset 'hotpotqa'; it has"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(content: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.json"
    file.write_bytes(content.encode(errors="surrogateescape"))

    with pytest.raises(BadDataError, match=problem):
        asked(tmp_path, f", prompts='{file}'", ROW)
