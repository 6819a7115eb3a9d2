"""`--holdout`: half of the questions behind Thresholdout, with one budget in the results file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from forethought.cli.main import exit_code
from forethought.contracts.errors import BudgetSpentError, UsageError
from forethought.contracts.questions import Question, Task
from forethought.evaluation.cells import LocalCells
from forethought.evaluation.evaluate import Evaluation
from forethought.evaluation.holdout_looks import HoldoutItem, HoldoutLooks, HoldoutSplit, split_of
from forethought.recipes.recipe import Recipe
from forethought.reports.comparison import comparison_markdown, comparison_text
from forethought.sessions.batch import Answers
from forethought.storage.store import Store
from tests.cli.tiny_folder import write_tiny_model
from tests.evaluation.stored import plain
from tests.sessions.tiny_session import TARGET

EXACT = Recipe(model="target")
GOOD, LUCKY, OTHER = (
    replace(EXACT, approximate=(f"snapkv(keep={keep})",)) for keep in (120, 130, 140)
)


@dataclass(frozen=True)
class Letters(Task):
    """Questions that nobody asks: their answers are stored."""

    count: int = 408
    answer_tokens = 8

    def questions(self, measure) -> Iterator[Question]:
        for n in range(self.count):
            yield Question(f"q{n}", f"What is the code of locker {n}?", cluster=f"c{n // 2}")

    def check(self, question, answer) -> float:
        raise AssertionError("nothing is answered here")


def evaluation(store: Store, recipes: tuple[Recipe, ...], task: Letters = Letters()) -> Evaluation:
    answers = Answers(lambda name, weights: TARGET)
    return Evaluation(
        recipes, {"letters": task}, store, LocalCells(answers), {}, searches=False, holdout=True
    )


def fill(asking: Evaluation) -> None:
    """Store a scored answer to every question."""
    wanted = list(asking.wanted())
    tuning = set(split_of(wanted).tuning)
    asking.store.connection.execute("BEGIN")
    for one in wanted:
        seen = f"letters\n{one.question.identifier}" in tuning
        bare = replace(one.recipe, seed=0, max_tokens=Recipe.max_tokens)
        made = plain(one.question.identifier, "x", scored(bare, seen))
        sample = replace(made, key=one.key, recipe=one.name, task="letters", number=0,
                         cluster=one.question.cluster)  # fmt: skip
        asking.store.put(sample)
    asking.store.connection.execute("COMMIT")


def scored(recipe: Recipe, seen: bool) -> float:
    """The lucky ones are right on the tuning half alone, where exact is wrong."""
    if recipe == EXACT:
        return float(not seen)
    return 0.9 * float(not seen) + 0.05 if recipe == GOOD else float(seen)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("filled") / "r.sqlite"
    with Store.open(found) as store:
        fill(evaluation(store, (EXACT, GOOD, LUCKY, OTHER)))
    return found


@pytest.fixture
def file(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(filled, tmp_path / "r.sqlite"))


def test_looks_are_guarded_and_charged_across_commands(file: Path) -> None:
    with Store.open(file) as store:
        first = evaluation(store, (EXACT, GOOD, LUCKY)).run()
    with Store.open(file) as store:
        second = evaluation(store, (EXACT, LUCKY, OTHER)).run()

    good, lucky = first.held_out.changes
    assert (good.change, good.charged) == (pytest.approx(0.05), False)
    # The tuning half says +1, the held-out half -1; the noise of 204 questions is about 0.1.
    assert lucky.charged
    assert lucky.change < -0.5
    assert first.held_out.left == 29
    assert second.held_out.changes[0] == lucky
    assert second.held_out.changes[1].charged
    assert second.held_out.left == 28


def test_other_figures_are_of_the_tuning_half(file: Path) -> None:
    with Store.open(file) as store:
        found = evaluation(store, (EXACT, GOOD, LUCKY)).run()

    held = found.held_out
    assert held.tuning + held.holdout == 408
    assert found.questions == held.tuning
    assert [one.score.value for one in found.standings] == [0.0, pytest.approx(0.05), 1.0]
    assert 0 <= held.holdout - held.tuning <= 2  # clusters of two stay together
    text = " ".join(comparison_text(found, width=100, colour=False).split())
    for said in ("Behind the holdout", "held-out half, charged", "29 charged answers left"):
        assert said in text
        assert said in " ".join(comparison_markdown(found).split())


def test_a_spent_budget_answers_nothing_more(file: Path) -> None:
    with Store.open(file) as store:
        asking = evaluation(store, (EXACT, GOOD))
        split = split_of(asking.wanted())
        looks = HoldoutLooks(split, EXACT.label, store.holdouts())
        gap = dict.fromkeys(split.tuning, 1.0) | dict.fromkeys(split.holdout, -1.0)
        charged = [looks.answer(f"query {n}", gap).charged for n in range(60) if looks.left]
        with pytest.raises(BudgetSpentError):
            looks.answer("one more", gap)
        found = asking.run()

    assert sum(charged) == 30
    assert (found.held_out.left, found.held_out.changes[0].change) == (0, None)
    text = " ".join(comparison_text(found, width=100, colour=False).split())
    assert "budget spent" in text
    assert "evaluate on fresh questions" in text


def test_the_split_depends_on_the_questions_alone() -> None:
    items = [HoldoutItem("t", f"q{n}", f"c{n // 3}", "") for n in range(90)]
    shuffled = random.Random(1).sample(items, len(items))

    found = HoldoutSplit.of(items)

    assert HoldoutSplit.of(shuffled) == found
    assert HoldoutSplit.of(items[:-1]).digest != found.digest
    assert HoldoutSplit.of([*items[:-1], replace(items[-1], data="new")]).digest != found.digest
    place = {name: name in found.tuning for name in [*found.tuning, *found.holdout]}
    assert all(place[f"t\nq{n}"] == place[f"t\nq{n // 3 * 3}"] for n in range(90))


def test_too_few_questions_are_refused_before_any_is_asked(tmp_path: Path, capsys) -> None:
    with (
        Store.open(tmp_path / "r.sqlite") as store,
        pytest.raises(UsageError, match="399 questions are too few"),
    ):
        evaluation(store, (EXACT, GOOD), Letters(399)).run()
    model = str(write_tiny_model(tmp_path / "m"))
    line = ["compare", "snapkv(keep=8)", "-m", model, "-t", "addition(digits=1, count=20)"]

    assert exit_code([*line, "--holdout", "--results", str(tmp_path / "r.sqlite")]) == 2

    assert "too few for a holdout" in " ".join(capsys.readouterr().err.split())
