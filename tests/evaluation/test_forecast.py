"""Forecasts from a results file: what takes part, what is left out, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.forecast import Forecast
from forethought.contracts.questions import Question, Sample
from forethought.evaluation.forecast import ImperfectVerifier, forecast
from forethought.recipes.identity import QUESTION_HASH, question_hash
from forethought.storage.store import Store
from tests.evaluation.stored import candidate, plain, searched

TASK = "addition(digits=2)"
VOTE = "smollm2@majority-vote(n=4)"
BEST = "smollm2@best-of-n(n=4)@self-judge"
QUESTIONS: tuple[Question, ...] = tuple(
    catalogue.build("addition(digits=2, count=12)", "tasks").questions(len)
)


def answers(question: Question, right: int) -> list[dict[str, object]]:
    texts = [question.answers[0] if place < right else f"{place}" for place in range(4)]
    return [candidate(n, f"Answer: {text}", score=n / 4) for n, text in enumerate(texts)]


def votes(recipe: str = VOTE) -> list[Sample]:
    """The first question has one right answer of four, the second two, and so on around."""
    return [
        replace(
            searched(one.identifier, answers(one, 1 + n % 4), recipe=recipe, task=TASK, score=1.0),
            provenance={QUESTION_HASH: question_hash(one)},
        )
        for n, one in enumerate(QUESTIONS)
    ]


def greedy(score: float = 0.0) -> list[Sample]:
    return [
        replace(
            plain(one.identifier, "x", score, task=TASK),
            provenance={QUESTION_HASH: question_hash(one)},
        )
        for one in QUESTIONS
    ]


def foretold(
    file: Path,
    samples: Iterable[Sample],
    *recipes: str,
    task: str = "addition(digits=2, count=12)",
    up_to: int = 1,
) -> Forecast:
    with Store.open(file) as store:
        for sample in samples:
            store.put(sample)
    return forecast(recipes, [task], results=file, verifier=ImperfectVerifier(0.05), up_to=up_to)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "r.sqlite"


def test_candidates_are_judged_by_the_task(file: Path) -> None:
    (found,) = foretold(file, votes()).curves

    assert (found.recipe, found.task, found.questions, found.answers) == (VOTE, TASK, 12, 4)
    assert found.random.value == pytest.approx(2.5 / 4)
    assert found.reached[-1].oracle.value == 1.0
    # Two of four against two others that differ wins; one of four others is a tie of four.
    assert found.reached[-1].vote.value == pytest.approx((1 / 4 + 1 + 1 + 1) / 4)
    assert found.attempts is not None


def test_without_names_all_that_draws_takes_part_and_the_rest_only_by_difficulty(
    file: Path,
) -> None:
    found = foretold(file, [*votes(), *votes(BEST), *greedy(0.5)])

    assert [one.recipe for one in found.curves] == [BEST, VOTE]
    assert [one.scorer for one in found.curves] == ["self-judge", ""]
    (difficulty,) = found.difficulties
    assert difficulty.recipes == ("smollm2", BEST, VOTE)
    assert [one.questions for one in difficulty.bins] == [4, 4, 4]
    assert difficulty.bins[0].success == 1 - 1 / 16
    assert (difficulty.fixed_score, difficulty.adapted) == (1.0, 1.0)
    assert found.notes == ()


def test_a_recipe_that_was_named_is_told_why_it_says_nothing(file: Path) -> None:
    found = foretold(file, [*votes(), *greedy()], "exact", "majority-vote(n=4)")

    assert [one.recipe for one in found.curves] == [VOTE]
    assert found.notes == ("smollm2: its answers are not independent draws",)


def test_other_models_and_tasks_take_no_part(file: Path) -> None:
    other = [replace(one, recipe="m@majority-vote", run={**one.run, "recipe": "m@majority-vote"},
                     key=f"{one.key} other") for one in votes()]  # fmt: skip
    elsewhere = [replace(one, task="addition", key=f"{one.key} elsewhere") for one in votes()]

    found = foretold(file, [*votes(), *other, *elsewhere])

    assert [(one.recipe, one.questions) for one in found.curves] == [(VOTE, 12)]


def test_one_answer_to_each_question_tells_of_no_other_number(file: Path) -> None:
    warm = [
        replace(plain(one.identifier, "x", 1.0, task=TASK, temperature=0.8),
                provenance={QUESTION_HASH: question_hash(one)})
        for one in QUESTIONS
    ]  # fmt: skip

    found = foretold(file, [*votes(), *warm], "exact", "majority-vote(n=4)")

    assert [one.recipe for one in found.curves] == [VOTE]
    assert found.notes == ("smollm2 --temperature=0.8: it has only one answer to a question",)


def test_nothing_kept_names_the_line_that_makes_some(file: Path) -> None:
    with pytest.raises(UsageError, match="holds no answers of smollm2") as error:
        foretold(file, greedy())

    assert error.value.hint.startswith("make some: forethought compare 'majority-vote(n=16)'")
    assert TASK in error.value.hint


def test_a_file_that_is_not_there_is_not_made(file: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        forecast([], [TASK], results=file)

    assert not file.exists()


def test_questions_beyond_the_count_are_left_out_with_a_word(file: Path) -> None:
    found = foretold(file, votes(), task="addition(digits=2, count=5)")

    assert found.curves[0].questions == 5
    assert "7 of 12 answers left out" in found.notes[0]
    assert "too few questions" in found.notes[1]


def test_what_was_judged_when_it_was_made_needs_no_task(file: Path) -> None:
    judged = [
        replace(one, run={**one.run, "candidates": [
            {**each, "right": 1.0} for each in one.run["candidates"]]})
        for one in votes()
    ]  # fmt: skip

    found = foretold(file, judged, task="addition(digits=2, count=5)")

    assert (found.curves[0].questions, found.curves[0].random.value) == (12, 1.0)


def test_a_question_whose_data_changed_is_left_out(file: Path) -> None:
    changed = [replace(votes()[0], provenance={QUESTION_HASH: "another"}), *votes()[1:]]

    found = foretold(file, changed)

    assert found.curves[0].questions == 11


def test_answers_that_a_budget_cut_are_left_out_with_a_word(file: Path) -> None:
    samples = votes()
    samples[0].run["candidates"][3]["finish"] = "budget"

    found = foretold(file, samples)

    assert found.curves[0].questions == 11
    assert f"{VOTE}: answers cut short, so questions left out: 1" in found.notes


def test_curves_end_where_a_question_has_no_more_answers(file: Path) -> None:
    samples = votes()
    samples[0].run["candidates"].pop()

    found = foretold(file, samples)

    assert found.curves[0].answers == 3
    assert f"{VOTE}: 3 to 4 answers by question" in found.notes


@pytest.mark.parametrize("verifier", [(-0.1, 1.0), (1.1, 1.0), (0.1, -1.0), (0.1, float("nan"))])
def test_a_wager_that_is_none_is_refused(verifier: tuple[float, float]) -> None:
    with pytest.raises(UsageError):
        ImperfectVerifier(*verifier)


def test_more_answers_are_forecast_up_to_a_number(file: Path) -> None:
    found = foretold(file, votes(), up_to=256)
    (short,) = forecast([], ["addition(digits=2, count=12)"], results=file, up_to=10).curves
    (none,) = forecast([], ["addition(digits=2, count=12)"], results=file, up_to=4).curves

    (curve,) = found.curves
    assert [one.answers for one in curve.further] == [8, 16, 32, 64, 128, 256]
    assert [one.prior_driven for one in curve.further] == [False, False, True, True, True, True]
    for one in curve.further:
        assert one.oracle.low <= one.oracle.value <= one.oracle.high
        assert one.vote.value < one.oracle.value
        assert one.tokens == pytest.approx(curve.reached[0].tokens + (one.answers - 1) * 10)
    assert [one.answers for one in short.further] == [8, 10]
    assert none.further == ()
    assert none.surprise is None
    assert curve.surprise is not None
    with pytest.raises(UsageError, match="0 answers are no number"):
        forecast([], [TASK], results=file, up_to=0)


def test_answers_of_a_cheaper_recipe_stand_beside_one_of_a_dearer(file: Path) -> None:
    dear = [
        replace(one, score=float(place % 4 > 0), recipe="qwen-coder-1.5b",
                key=f"{one.key} dear", run={**one.run, "recipe": "qwen-coder-1.5b",
                "cost": {**one.run["cost"], "flops": 1e9}})
        for place, one in enumerate(greedy())
    ]  # fmt: skip
    foretold(file, [*votes(), *dear])

    found = forecast(
        [],
        ["addition(digits=2, count=12)"],
        results=file,
        up_to=32,
        against="qwen-coder-1.5b",
    )

    (one,) = found.economics
    assert (one.cheaper, one.dearer, one.questions) == (VOTE, "qwen-coder-1.5b", 12)
    assert one.score.value == pytest.approx(10 / 14)  # nine of twelve, with a uniform prior
    assert one.flops == pytest.approx(1e9)
    assert [row.answers for row in one.rivals] == [1, 2, 4, 8, 16, 32]
    assert [row.prior_driven for row in one.rivals] == [False] * 5 + [True]
    ahead = [row.oracle_ahead for row in one.rivals]
    assert ahead == sorted(ahead)
    assert ahead[0] < 0.5 < ahead[-1]
    assert one.rivals[1].flops > one.rivals[0].flops


def test_a_dearer_recipe_without_answers_gets_a_note(file: Path) -> None:
    foretold(file, votes())

    found = forecast(
        [], ["addition(digits=2, count=12)"], results=file, up_to=4, against="qwen-coder-1.5b"
    )

    assert found.economics == ()
    assert "qwen-coder-1.5b: no stored answers to compare with on addition(digits=2)" in found.notes
