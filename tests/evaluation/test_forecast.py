"""Forecasts from a results file: what takes part, what is left out, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from forethought import catalogue
from forethought.beliefs.success import ZeroInflatedBeta
from forethought.contracts.beliefs import Counts
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.contracts.forecast import Forecast
from forethought.contracts.questions import Question, Sample
from forethought.evaluation import attempts
from forethought.evaluation.forecast import ImperfectVerifier, forecast
from forethought.evaluation.look_ahead import difficulty_bank
from forethought.recipes.identity import QUESTION_HASH, question_hash
from forethought.reports.terminal.forecast import forecast_text
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


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests compare no intervals of attempts; tests/evaluation/test_attempts.py does."""
    monkeypatch.setattr(attempts, "RESAMPLES", 10)


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


def test_unsolved_questions_have_the_chances_of_the_simulated_worlds(file: Path) -> None:
    samples = [
        replace(one, run={**one.run, "candidates": answers(question, 0)}) if place < 3 else one
        for place, (one, question) in enumerate(zip(votes(), QUESTIONS, strict=True))
    ]
    found = foretold(file, samples, up_to=8).curves[0].unsolved
    solved = foretold(file.with_name("s.sqlite"), votes(), up_to=8).curves[0].unsolved

    seen = Counts.of(4, [0, 0, 0, *[1 + n % 4 for n in range(3, 12)]])
    posterior = difficulty_bank().posterior(seen)
    assert solved is None
    assert found is not None
    assert found.questions == 3
    assert found.next == pytest.approx(posterior.next_success()[:3].mean())
    assert found.within == pytest.approx(posterior.solved_within(4)[:3].mean())
    assert 0 < found.next < found.within < 1


def test_another_prior_changes_the_best_alone(file: Path) -> None:
    broad = foretold(file, votes(), up_to=32).curves[0].further
    (curve,) = forecast(
        [], ["addition(digits=2, count=12)"], results=file, up_to=32, prior="zero-inflated"
    ).curves

    seen = Counts.of(4, [1 + n % 4 for n in range(12)])
    exact = ZeroInflatedBeta((8, 16, 32)).condition(seen)
    # The same law by other draws: the mean of 1,000 has an error of about 0.0005.
    assert [one.oracle.value for one in curve.further] == pytest.approx(exact.mean, abs=0.003)
    assert curve.further[0].oracle.value != broad[0].oracle.value
    assert [one.vote for one in curve.further] == [one.vote for one in broad]
    with pytest.raises(UnknownNameError, match="no prior is called"):
        forecast([], [TASK], results=file, prior="zero")
    with pytest.raises(UsageError, match="its own prior"):
        forecast([], [TASK], results=file, prior="zero-inflated", pfn="x")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of learning curves that was hardly trained: its answers are read, not judged."""
    from forethought.beliefs.amortised.learning_curve import CurveSimulator
    from forethought.beliefs.amortised.prior_fitted import PriorFitting
    from forethought.beliefs.amortised.training import TrainingPlan, train

    found = tmp_path_factory.mktemp("network") / "n.safetensors"
    plan = TrainingPlan(steps=2, batch=4, width=8, layers=1)
    train(PriorFitting(CurveSimulator()), plan, found, lambda step, loss: None)
    return found


def test_a_network_of_learning_curves_extends_the_scorers_choice(file: Path, network: Path) -> None:
    from forethought.beliefs.amortised.learning_curve import CurveNetwork, CurvePoints

    rising = [
        replace(one, run={**one.run, "candidates": [
            {**each, "score": float(n < 1 + place % 4) + n / 100}
            for n, each in enumerate(one.run["candidates"])
        ]}) for place, one in enumerate(votes(BEST))
    ]  # fmt: skip
    foretold(file, rising)
    task = ["addition(digits=2, count=12)"]
    (curve,) = forecast([], task, results=file, up_to=200, curves=network).curves
    (few,) = forecast([], task, results=file, up_to=600, curves=network).curves

    ahead = curve.choices["scored"]
    assert ahead.answers == (8, 16, 32, 64, 128, 200)
    points = CurvePoints((1, 2), tuple(curve.reached[n].scored.value for n in (1, 2)))
    exact = CurveNetwork.read(network, (4.0, 8.0, 16.0, 32.0, 64.0, 100.0)).condition(points)
    assert [one.value for one in ahead.scores] == pytest.approx(exact.mean.tolist())
    assert ahead.gain == pytest.approx(exact.exceeds(points.values[-1] + 0.01)[-1])
    assert few.choices == {}
    assert "fewer than 6 answers" in few.no_choices["scored"]
    text = forecast_text(forecast([], task, results=file, up_to=200, curves=network), width=400,
                         colour=False)  # fmt: skip
    assert "By self-judge, 200 answers are forecast at" in text
    assert "prior of learning curves" in text


def test_a_falling_choice_has_no_forecast(file: Path, network: Path) -> None:
    falling = [
        replace(one, run={**one.run, "candidates": [
            {**each, "score": n / 100} for n, each in enumerate(one.run["candidates"])
        ]}) for one in votes(BEST)
    ]  # fmt: skip
    foretold(file, falling)

    (curve,) = forecast(
        [], ["addition(digits=2, count=12)"], results=file, up_to=64, curves=network
    ).curves

    assert curve.choices.keys().isdisjoint({"scored"})
    assert "its curve falls" in curve.no_choices["scored"]


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


def test_the_price_of_an_answer_does_not_depend_on_which_recipes_are_named(file: Path) -> None:
    every = foretold(file, [*votes(), *greedy()], up_to=8)
    (alone,) = foretold(file, (), "majority-vote(n=4)", up_to=8).curves

    (among,) = (one for one in every.curves if one.recipe == VOTE)
    assert [one.flops for one in alone.further] == [one.flops for one in among.further]


@pytest.mark.parametrize(("what", "kind"), [("pfn", "coverage"), ("curves", "learning-curve")])
def test_a_network_that_is_not_there_is_told_before_answers_are_read(
    file: Path, what: str, kind: str
) -> None:
    with pytest.raises(UsageError, match="there is no network at") as caught:
        forecast((), [TASK], results=file, **{what: file.with_name("none.safetensors")})

    assert kind in caught.value.hint
