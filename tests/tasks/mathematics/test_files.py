import json
from pathlib import Path
from typing import Any

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadDataError
from forethought.contracts.questions import Question
from forethought.tasks.rows import rows

GOOD: dict[str, dict[str, Any]] = {
    "gsm8k": {"id": "g-1", "question": "3 + 4?", "answer": "7"},
    "svamp": {"ID": "chal-1", "Body": "There are 3. ", "Question": "And 4?", "Answer": 7.0},
    "mawps": {"input": "3 + 4?", "target": 7.0},
    "math500": {"problem": "3 + 4?", "answer": "7", "unique_id": "test/1.json"},
}


def write(path: Path, *rows: object) -> Path:
    file = path / "rows.jsonl"
    file.write_bytes(b"".join(line(one) + b"\n" for one in rows))
    return file


def line(row: object) -> bytes:
    if isinstance(row, bytes):
        return row
    return (row if isinstance(row, str) else json.dumps(row)).encode()


def asked(name: str, file: Path, settings: str = "") -> list[Question]:
    task = catalogue.build(f"{name}(path='{file}'{settings})", "tasks")
    return list(task.questions(len))


@pytest.mark.parametrize("name", GOOD)
def test_a_line_becomes_a_question_that_its_answer_solves(name: str, tmp_path: Path) -> None:
    file = write(tmp_path, GOOD[name])
    task = catalogue.build(f"{name}(path='{file}')", "tasks")

    (question,) = task.questions(len)

    assert question.text.startswith(("3 + 4?", "There are 3. And 4?"))
    assert task.check(question, r"It is \boxed{7}.") == 1
    assert task.check(question, r"It is \boxed{8}.") == 0
    assert task.check(question, "no idea") == 0
    assert catalogue.spelled(task) == f"{name}(path={file})"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("gsm8k", "g-1"), ("svamp", "chal-1"), ("mawps", "mawps-1"), ("math500", "test/1.json")],
)
def test_identifiers_are_the_files_or_else_the_lines(
    name: str, expected: str, tmp_path: Path
) -> None:
    (question,) = asked(name, write(tmp_path, GOOD[name]))

    assert question.identifier == expected


def test_a_worked_solution_gives_its_last_line_as_the_answer(tmp_path: Path) -> None:
    row = {"question": "3 + 4?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"}

    (question,) = asked("gsm8k", write(tmp_path, row))

    assert question.answers == ("7",)
    assert question.identifier == "gsm8k-1"


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("The answer is 5 + 2 = 7 apples for the 3 of them.", 1),
        ("The answer is 7 apples for the 3 of them.", 1),
        ("The answer is $7.00.", 1),
        ("The answer is 3 apples for the 7 of them.", 0),
        ("So 3 + 4 makes 7.", 1),
        (r"\boxed{\text{They have } 7 \text{ apples}}", 1),
        (r"\boxed{7} or \boxed{8}", 0),
        (r"\boxed{7 \text{ or } 8}", 0),
    ],
)
def test_word_problems_are_judged_by_the_number_that_is_announced(
    answer: str, score: float, tmp_path: Path
) -> None:
    task = catalogue.build(f"gsm8k(path='{write(tmp_path, GOOD['gsm8k'])}')", "tasks")
    (question,) = task.questions(len)

    assert task.check(question, answer) == score


BAD = [
    ("{'question': 1}", "not JSON"),
    ("[1, 2]", "not a JSON object"),
    ({"question": "x"}, "has no field 'answer'; it has 'question'"),
    ({"question": "x", "answer": 7}, "answer is 7, not of type str"),
    ({"id": "g-1", "question": "x", "answer": "7"}, "id 'g-1' stands in line 1 already"),
    ('{"question": "x", "answer": NaN}', "not JSON"),
    ('{"question": "x", "answer": "7", "weight": 1e999}', "1e999 is too large"),
    ('{"question": "x", "answer": "\\ud83d"}', "holds half a character: '\\ud83d'"),
    ("[" * 100_000, "not JSON"),
    ('{"question": "x", "answer": "7", "more": ' + "[" * 900 + "]" * 900 + "}x", "not JSON"),
    ({"question": "x", "answer": ["y" * 100_000]}, "yyy...yyy"),
    (b'{"question": "\xff", "answer": "7"}', "not JSON"),
    ({"id": ["a"], "question": "x", "answer": "7"}, "id is ['a'], neither a text nor a number"),
    ({"id": True, "question": "x", "answer": "7"}, "id is True, neither a text nor a number"),
]


@pytest.mark.parametrize(("row", "problem"), BAD)
def test_a_bad_line_is_named_with_its_number(row: object, problem: str, tmp_path: Path) -> None:
    file = write(tmp_path, GOOD["gsm8k"], "", row)

    with pytest.raises(BadDataError, match="line 3: ") as caught:
        asked("gsm8k", file)

    assert str(file) in caught.value.message
    assert problem in caught.value.message
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize(("row", "problem"), BAD)
def test_bad_lines_may_be_skipped_and_are_then_reported(
    row: object, problem: str, tmp_path: Path
) -> None:
    file = write(tmp_path, GOOD["gsm8k"], row, {"question": "1 + 1?", "answer": "2"})
    task = catalogue.build(f"gsm8k(path='{file}', skip_bad=true)", "tasks")

    assert [question.identifier for question in task.questions(len)] == ["g-1", "gsm8k-3"]
    (note,) = task.notes()
    assert "line 2" in note
    assert problem in note


@pytest.mark.parametrize(
    ("name", "field"), [("gsm8k", "id"), ("mawps", "id"), ("math500", "unique_id")]
)
def test_an_identifier_of_null_is_none(name: str, field: str, tmp_path: Path) -> None:
    rows = [{**GOOD[name], field: null} for null in (None, "None", None, 4)]

    found = [question.identifier for question in asked(name, write(tmp_path, *rows))]

    assert found == [f"{name}-1", "None", f"{name}-3", "4"]


def test_a_file_that_is_missing_or_holds_no_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"none\.jsonl cannot be read"):
        asked("gsm8k", tmp_path / "none.jsonl")
    with pytest.raises(BadDataError, match=r"rows\.jsonl has no line"):
        asked("gsm8k", write(tmp_path))
    with pytest.raises(BadDataError, match=r"rows\.jsonl has no good line"):
        asked("gsm8k", write(tmp_path, "{"), ", skip_bad=true")


def test_files_that_are_no_text_in_utf8_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(json.dumps(GOOD["gsm8k"]).encode("utf-16"))

    with pytest.raises(BadDataError, match="is UTF-16"):
        asked("gsm8k", file)
    with pytest.raises(BadDataError, match="is not a file"):
        asked("gsm8k", tmp_path)
    with pytest.raises(BadDataError, match="is not a file"):
        asked("gsm8k", Path("/dev/null"))


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x.jsonl", "a\0b", "x" * 5000])
def test_paths_that_no_file_can_have_are_named(path: str) -> None:
    with pytest.raises(BadDataError, match="cannot be read"):
        rows(path, {}, skip_bad=False, identifier="id")


def test_lines_without_an_identifier_go_by_their_number(tmp_path: Path) -> None:
    row = {"id": None, "question": "3 + 4?", "answer": "7"}

    found = asked("gsm8k", write(tmp_path, row, row))

    assert [one.identifier for one in found] == ["gsm8k-1", "gsm8k-2"]


def test_a_very_long_line_is_read(tmp_path: Path) -> None:
    (question,) = asked("gsm8k", write(tmp_path, {"question": "x" * 3_000_000, "answer": "7"}))

    assert question.text.count("x") > 3_000_000 - 1


def test_marks_of_order_and_separators_in_text_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    row = json.dumps({"question": "a\u2028b?", "answer": "7"}, ensure_ascii=False)
    file.write_bytes(b"\xef\xbb\xbf" + row.encode() + b"\r\n")

    (question,) = asked("gsm8k", file)

    assert question.text.startswith("a\u2028b?")


def test_a_seed_draws_in_another_order_and_a_higher_count_keeps_the_first(tmp_path: Path) -> None:
    lines = [{"id": str(number), "question": "?", "answer": "7"} for number in range(30)]
    file = write(tmp_path, *lines)

    def order(settings: str) -> list[str]:
        return [question.identifier for question in asked("gsm8k", file, settings)]

    assert order("") == [row["id"] for row in lines]
    assert order(", count=3") == ["0", "1", "2"]
    assert order(", seed=1")[:5] == order(", seed=1, count=5")
    assert sorted(order(", seed=1")) == sorted(order("")) != order(", seed=1")
    assert order(", seed=2") != order(", seed=1")


@pytest.mark.parametrize("name", ["gsm8k", "svamp", "mawps"])
def test_prompts_ask_for_steps_the_answer_alone_or_checked_steps(name: str, tmp_path: Path) -> None:
    file = write(tmp_path, GOOD[name])
    last = r"ive the final answer as one number, like this: \boxed{number}"
    told = {
        "": f"Think step by step. Then g{last}",
        ", prompt=steps": f"Think step by step. Then g{last}",
        ", prompt=standard": f"G{last}",
        ", prompt=reflect": "Think step by step. Then check each step, and correct it if it is "
        f"wrong. Then g{last}",
    }

    for settings, instruction in told.items():
        (question,) = asked(name, file, settings)
        assert question.text.partition("\n\n")[2] == instruction
