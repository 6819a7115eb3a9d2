"""Answers without a readable result: counted as wrong or left out, and reported in every table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from forethought import catalogue
from forethought.cli.comparisons import comparison_document
from forethought.contracts.questions import Question, Task, outcome_of
from forethought.evaluation.statistics import compared
from forethought.reports.comparison import comparison_csv, comparison_markdown, comparison_text
from forethought.reports.html.comparison import comparison_html
from forethought.storage.store import Store
from tests.evaluation.test_statistics import sample


def outcomes(recipe, told, task="sums"):
    """A sample per letter: right, wrong, unparsable (counted), or left out of the score."""
    known = {"r": (1.0, "parsed"), "w": (0.0, "parsed"), "u": (0.0, "unparsable"),
             "o": (0.0, "unscored")}  # fmt: skip
    made = [(place, *known[letter]) for place, letter in enumerate(told)]
    return [
        replace(sample(recipe, f"q{place}", score, task=task), outcome=outcome)
        for place, score, outcome in made
    ]


def result(told):
    (found,) = compared(outcomes("a", told), ["a"], ["sums"]).standings
    return found


def test_an_unparsable_answer_counts_as_wrong_and_an_unscored_one_does_not():
    counted, left_out = result("rrwu"), result("rrwo")
    assert (counted.score.value, counted.unparsable, counted.unscored) == (0.5, 0.25, 0.0)
    assert left_out.score.value == pytest.approx(2 / 3)
    assert (left_out.unparsable, left_out.unscored, left_out.questions) == (0.25, 0.25, 3)


def test_a_share_is_unknown_if_an_outcome_is():
    samples = [*outcomes("a", "ru"), sample("a", "q9", 0.0)]
    (found,) = compared(samples, ["a"], ["sums"]).standings
    assert math.isnan(found.unparsable)


def test_differences_are_over_questions_that_both_have_scores_for():
    found = compared(outcomes("a", "rrwo") + outcomes("b", "rwor"), ["a", "b"], ["sums"])
    assert (found.differences[0].questions, found.differences[0].wins) == (2, 1)


@pytest.mark.parametrize("told", ["oooo", "uuuu"])
def test_every_format_shows_the_shares(told):
    found = compared(outcomes("a", "rrww") + outcomes("b", told), ["a", "b"], ["sums"])
    texts = [
        comparison_text(found, width=120, colour=False),
        comparison_markdown(found),
        comparison_html(found, title="x"),
    ]
    for text in texts:
        assert "Answers without a readable result" in text
        assert "100.0 %" in text
        assert "nan" not in text.lower().replace("nance", "")
    row = list(csv.DictReader(io.StringIO(comparison_csv(found))))[-1]
    assert (row["recipe"], float(row["unparsable"])) == ("b", 1.0)
    document = json.loads(comparison_document(found, timing=False))
    assert document["standings"][1]["unparsable"] == 1.0
    score = document["standings"][1]["score"]["value"]
    assert score == (None if told == "oooo" else 0.0)
    assert not found.standings[1].frontier or told == "uuuu"


def test_without_such_answers_there_is_no_table():
    found = compared(outcomes("a", "rw"), ["a"], ["sums"])
    assert "readable result" not in comparison_text(found, width=120, colour=False)


@dataclass(frozen=True)
class Numbers(Task):
    """The answer is a number; without one there is nothing to score."""

    counts: bool = True
    answer_tokens = 4

    def questions(self, measure) -> Iterator[Question]:
        yield Question("q0", "?", answers=("7",))

    def check(self, question, answer) -> float:
        return float(answer == question.answers[0])

    def stated(self, answer):
        return answer if answer.isdecimal() else ""

    @property
    def scores_unparsable(self):
        return self.counts


def test_the_outcome_of_an_answer_follows_from_its_task():
    (question,) = Numbers().questions(len)
    answers = [("7", 1.0), ("8", 0.0), ("none", 0.0), ("seven", 1.0)]
    told = [outcome_of(Numbers(), question, answer, score) for answer, score in answers]
    assert told == ["parsed", "parsed", "unparsable", "parsed"]
    assert outcome_of(Numbers(counts=False), question, "none", 0.0) == "unscored"


def test_unscored_answers_are_no_samples_to_learn_scores_from(tmp_path):
    with Store.open(tmp_path / "r.sqlite") as store:
        for one in outcomes("a", "ruo"):
            store.put(one)
        assert [one.outcome for one in store.samples()] == ["parsed", "unparsable"]
        assert len(store.samples(scored=False)) == 3


READABLE = {
    "addition(count=1)": ("Answer: 12", "I do not know"),
    "multiplication(count=1)": ("Answer: 12", "12"),
    "game-24(count=1)": ("Answer: 1 + 2", "1 + 2"),
    "graph-path(count=1)": ("Answer: 1 -> 2", ""),
    "small-sat(count=1)": ("Answer: x1 = true", "x1 = true"),
    "brackets(count=1)": ("Answer: )", ")"),
    "multilingual-arithmetic(count=1, language=english)": ("It is \\boxed{7}.", "It is unknown."),
    "procbench(count=1, family=sort)": ("abc\nAnswer: abc", "abc"),
    "tower(size=3)": ("moves = [[1, 0, 2]]", "moves = [[1, 0"),
    "blocks(size=2)": ("moves = []", "no moves"),
    "locality(count=1)": ("Answer: 0.25", "Answer: high"),
    "niah-single-1(count=1, tokens=600)": ("no", " "),
}


@pytest.mark.parametrize("spelled", READABLE)
def test_tasks_know_a_readable_answer(spelled):
    (task,) = catalogue.expand(spelled).values()
    question = next(iter(task.questions(lambda text: len(text.split()))))
    readable, unreadable = READABLE[spelled]
    assert task.parsed(question, readable)
    assert not task.parsed(question, unreadable)
    assert task.check(question, unreadable) == 0
    assert task.scores_unparsable == (not spelled.startswith("locality"))


def test_a_program_is_readable_with_mistakes(tmp_path):
    line = {"task_id": "t", "prompt": "def one():\n    '''1'''\n", "entry_point": "one",
            "test": "def check(f):\n    assert f() == 1"}  # fmt: skip
    (tmp_path / "h.jsonl").write_text(json.dumps(line))
    (task,) = catalogue.expand(f"humaneval(path='{tmp_path}/h.jsonl')").values()
    (question,) = task.questions(len)
    assert task.parsed(question, "```python\ndef one(:\n    return 1\n```")
    assert task.parsed(question, "    return 1")
    assert not task.parsed(question, "I cannot help with that.")
