"""How sure answers are, beside how right they are, against plain loops."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from forethought.cli import options
from forethought.cli.comparisons import comparison_document
from forethought.evaluation.confidence_scores import LEVEL, answer_confidences
from forethought.evaluation.statistics import compared
from forethought.reports.comparison import comparison_csv, comparison_markdown, comparison_text
from forethought.reports.html.comparison import comparison_html
from tests.evaluation.test_statistics import sample


def sure(recipe, place, score, told, calibrated=False):
    made = [
        {"method": name, "value": value, "raw": value, "calibrated": calibrated, "cost": {}}
        for name, value in told.items()
    ]
    one = sample(recipe, f"q{place}", score)
    return replace(one, run={**one.run, "confidence": {**made[0], "estimates": made}})


def answers(recipe="a", count=60, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for place in range(count):
        value = float(rng.random())
        right = float(rng.random() < value)
        found.append(sure(recipe, place, right, {"stated": value, "coin": float(rng.random())}))
    return found


def by_loops(samples, place, level):
    """AUROC, expected calibration error, share given and its score, by loops."""
    pairs = [(one.run["confidence"]["estimates"][place]["value"], one.score) for one in samples]
    wins = [(a > b) + (a == b) / 2 for a, x in pairs for b, y in pairs if x == 1 and y == 0]
    error = 0.0
    for low in range(10):
        inside = [(v, s) for v, s in pairs if low <= 10 * v < low + 1 or (low == 9 and v == 1)]
        error += abs(sum(v for v, _ in inside) - sum(s for _, s in inside)) / len(pairs)
    given = [s for v, s in pairs if v >= level]
    return sum(wins) / len(wins), error, len(given) / len(pairs), sum(given) / len(given)


def test_measures_equal_those_of_loops():
    samples = answers()
    found = answer_confidences(samples, 0.7)
    assert [one.method for one in found] == ["stated", "coin"]
    for place, one in enumerate(found):
        told = (one.auroc.value, one.error.value, one.answered, one.score_answered)
        assert told == pytest.approx(by_loops(samples, place, 0.7))
        assert one.auroc.low < one.auroc.value < one.auroc.high
    assert found[0].auroc.low > 0.5 > found[1].auroc.low


def test_bounds_need_twenty_questions():
    (few, _), (enough, _) = answer_confidences(answers(count=19)), answer_confidences(answers())
    assert math.isnan(few.auroc.low)
    assert not math.isnan(enough.auroc.low)


def test_silent_answers_are_withheld_and_counted():
    told = [0.9, None, 0.4, 0.8]
    samples = [sure("a", place, 1.0, {"says": value}) for place, value in enumerate(told)]
    (found,) = answer_confidences(samples, 0.5)
    assert (found.answers, found.silent, found.answered) == (4, 1, 0.5)
    assert math.isnan(found.auroc.value)  # no wrong answer


def test_the_agreement_of_a_vote_is_its_confidence():
    one = sample("a", "q0", 1.0)
    vote = {"value": 0.75, "method": "agreement", "calibrated": False}
    (found,) = answer_confidences([replace(one, run={**one.run, "confidence": vote})])
    assert (found.method, found.answers, found.calibrated) == ("agreement", 1, 0)


def test_every_format_shows_them():
    plain = [sample("b", f"q{place}", 1.0) for place in range(60)]
    found = compared(answers() + plain, ["a", "b"], ["sums"], level=0.6)
    texts = [
        comparison_text(found, width=140, colour=False),
        comparison_markdown(found),
        comparison_html(found, title="x"),
    ]
    first = found.standings[0].confidence[0]
    shown = f"{first.auroc.value:.2f} [{first.auroc.low:.2f}, {first.auroc.high:.2f}]"
    for text in texts:
        assert "How sure the answers are" in text
        assert shown in text.replace("\\", "")
        assert "0.6" in text
    rows = [row for row in csv.DictReader(io.StringIO(comparison_csv(found))) if not row["task"]]
    assert float(rows[0]["auroc"]) == first.auroc.value
    assert float(rows[0]["ece_high"]) == first.error.high
    assert (rows[1]["confidence"], rows[1]["auroc"]) == ("", "")
    document = json.loads(comparison_document(found, timing=False))
    assert document["standings"][0]["confidence"][1]["method"] == "coin"
    assert document["standings"][1]["confidence"] == []


def test_without_a_confidence_there_is_no_table():
    found = compared([sample("b", "q0", 1.0)], ["b"], ["sums"])
    assert "How sure" not in comparison_text(found, width=140, colour=False)
    assert "auroc" not in comparison_csv(found)


def test_the_level_of_the_command_line_is_that_of_python():
    assert options.ABSTAIN_LEVEL.default == LEVEL
