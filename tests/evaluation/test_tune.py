"""Plans from a results file: what takes part, what is counted, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.plan import DifficultyBin
from forethought.contracts.questions import Question, Sample
from forethought.contracts.tuning import Tuned
from forethought.evaluation.tune import PlanSettings, tune
from forethought.recipes.identity import QUESTION_HASH, question_hash
from forethought.recipes.recipe import Recipe
from forethought.reports.terminal.tuning import finding, tuning_text, usage
from forethought.storage.store import Store
from tests.evaluation.stored import OUTPUT, PROMPT, candidate, plain, searched

TASK = "addition(digits=2)"
ASKED = "addition(digits=2, count=24)"
QUESTIONS: tuple[Question, ...] = tuple(catalogue.build(ASKED, "tasks").questions(len))
VOTE = "smollm2@majority-vote(n=6)"


def hashed(sample: Sample, question: Question) -> Sample:
    return replace(sample, provenance={QUESTION_HASH: question_hash(question)})


def easy(n: int) -> bool:
    return n % 2 == 0


def answers(n: int, question: Question) -> list[dict[str, Any]]:
    """Easy questions: all agree, rightly. Hard ones: three wrong answers, of which two agree,
    then three right ones."""
    right = question.answers[0]
    said = [right] * 6 if easy(n) else ["1", "1", "2", *([right] * 3)]
    return [candidate(place, f"Answer: {text}") for place, text in enumerate(said)]


def votes(recipe: str = VOTE) -> list[Sample]:
    return [
        hashed(searched(one.identifier, answers(n, one), recipe=recipe, task=TASK, score=1.0), one)
        for n, one in enumerate(QUESTIONS)
    ]


def greedy(**settings: Any) -> list[Sample]:
    """Right where it is easy."""
    return [
        hashed(plain(one.identifier, "x", float(easy(n)), task=TASK, **settings), one)
        for n, one in enumerate(QUESTIONS)
    ]


def tuned(
    file: Path, samples: Iterable[Sample], *strategies: str, base: Recipe | str = "smollm2",
    task: str = ASKED, **wanted: Any,
) -> Tuned:  # fmt: skip
    with Store.open(file) as store:
        for sample in samples:
            store.put(sample)
    return tune(
        strategies, [task], base, wanted=PlanSettings(**{"bins": 2, **wanted}), results=file
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "r.sqlite"


def test_easy_questions_get_the_cheap_strategy_where_tokens_cost(file: Path) -> None:
    found = tuned(file, [*votes(), *greedy()], "greedy", "majority-vote(n=6)", worth=1.0)

    # Agreement is 1 or one half, and the likelihood is the same.
    easier, harder = found.plan.bins
    assert (easier.strategy, easier.least[0]) == ("greedy", 1.0)
    assert (harder.strategy, harder.least[0]) == ("majority-vote(n=6)", 0.5)
    assert (found.plan.probe, found.plan.model, found.plan.tasks) == (4, "smollm2", (TASK,))
    assert found.questions == 24
    assert [one.questions for one in found.bins] == [12, 12]
    assert [(one.score, one.fixed_score) for one in found.bins] == [(1.0, 1.0), (1.0, 1.0)]
    assert found.strategies["greedy"].tokens == PROMPT + OUTPUT
    assert found.strategies["majority-vote(n=6)"].tokens == PROMPT + 6 * OUTPUT
    # Behind a probe of four, greedy costs five answers and the vote still six.
    assert found.adapted.tokens == PROMPT + (5 + 6) / 2 * OUTPUT
    assert (found.adapted.score, found.alone.score) == (1.0, 1.0)
    assert found.gain.low < 0 < found.gain.high
    assert found.plan.told["questions"] == 24


def test_where_tokens_cost_nothing_the_better_strategy_takes_all(file: Path) -> None:
    found = tuned(file, [*votes(), *greedy()], "greedy", "majority-vote(n=6)")
    assert found.plan.bins == (DifficultyBin((0.0, 0.0), "majority-vote(n=6)"),)
    assert found.plan.probe == 0
    assert (found.fixed, found.gain.value) == ("majority-vote(n=6)", 0.0)


def test_what_is_right_on_other_questions_is_a_gain_with_an_interval(file: Path) -> None:
    def other() -> list[Sample]:
        """A search that is right where it is hard."""
        return [
            hashed(searched(one.identifier, answers(n, one)[:1], recipe="smollm2@beam@likelihood",
                            task=TASK, score=float(not easy(n))), one)
            for n, one in enumerate(QUESTIONS)
        ]  # fmt: skip

    found = tuned(file, [*votes(), *greedy(), *other()], "greedy", "beam@likelihood")
    assert [one.strategy for one in found.plan.bins] == ["greedy", "beam"]
    assert (found.adapted.score, found.alone.score) == (1.0, pytest.approx(0.5))
    assert found.gain.value == pytest.approx(0.5)
    assert 0 < found.gain.low < 0.5 < found.gain.high
    assert found.scorer == "likelihood"
    assert found.strategies["beam"].tokens == PROMPT + OUTPUT
    assert found.adapted.tokens == PROMPT + 5 * OUTPUT
    assert "is better than any single strategy" in finding(found)
    assert usage(found, "plan.json").endswith("--scorer likelihood")


def test_votes_that_were_not_run_are_counted_from_kept_answers(file: Path) -> None:
    found = tuned(file, votes(), "majority-vote(n=2)", "majority-vote(n=6)", worth=1.0)
    spent = found.strategies["majority-vote(n=2)"]
    assert (spent.score, spent.tokens) == (0.5, PROMPT + 2 * OUTPUT)
    assert found.strategies["majority-vote(n=6)"].score == 1.0
    # A vote of two goes on with two of the probe's four answers, which are all paid.
    assert [one.strategy for one in found.plan.bins] == ["majority-vote(n=2)", "majority-vote(n=6)"]
    assert found.adapted.tokens == PROMPT + (4 + 6) / 2 * OUTPUT
    assert any("was counted from stored answers" in one for one in found.notes)
    with pytest.raises(UsageError, match=r"no answers of majority-vote\(n=9\)"):
        tuned(file, [], "majority-vote(n=2)", "majority-vote(n=9)")


def test_kept_votes_smaller_than_the_probe_pay_the_rest_of_it(file: Path) -> None:
    few = [
        hashed(searched(one.identifier, answers(n, one)[:2], recipe="smollm2@majority-vote(n=2)",
                        task=TASK, score=float(easy(n))), one)
        for n, one in enumerate(QUESTIONS)
    ]  # fmt: skip
    found = tuned(file, [*votes(), *few], "majority-vote(n=2)", "majority-vote(n=6)", worth=1.0)
    assert not found.notes
    assert found.adapted.tokens == PROMPT + (4 + 6) / 2 * OUTPUT


def test_only_plain_answers_at_temperature_0_are_greedy(file: Path) -> None:
    warm = greedy(temperature=0.7)
    with pytest.raises(UsageError, match="no answers of greedy"):
        tuned(file, [*votes(), *warm], "greedy", "majority-vote(n=6)")


def test_too_few_questions_strategies_or_answers_are_refused(file: Path) -> None:
    kept = [*votes(), *greedy()]
    with pytest.raises(UsageError, match="24 independent questions are too few for 4 bins"):
        tuned(file, kept, "greedy", "majority-vote(n=6)", bins=4)
    same = [replace(one, cluster="all", key=f"{one.key} again") for one in kept]
    with pytest.raises(UsageError, match="1 independent questions"):
        tuned(file.with_name("other"), same, "greedy", "majority-vote(n=6)")
    for names in (["greedy"], [], ["exact", "greedy"]):
        with pytest.raises(UsageError, match="a plan chooses among strategies"):
            tuned(file, [], *names)
    with pytest.raises(UsageError, match=r"\(n=9\).*, whose first 9 tell how hard") as refused:
        tuned(file, [], "greedy", "majority-vote(n=6)", probe=9)
    assert "forethought compare 'majority-vote(n=9)' -m smollm2" in refused.value.hint
    with pytest.raises(UsageError, match="there is no task"):
        tune(["greedy", "majority-vote"], [], results=file)
    with pytest.raises(UsageError, match="one scorer"):
        tuned(file, [], "beam@likelihood", "best-of-n@self-judge")
    with pytest.raises(UsageError, match="one model with the same methods"):
        tuned(file, [], "greedy", "snapkv@majority-vote")
    with pytest.raises(UsageError, match="out of range"):
        PlanSettings(probe=1)


def test_a_plan_of_a_cascade_names_its_draft(file: Path) -> None:
    recipe = "smollm2+draft(gemma3-270m)@cascade"
    drafted = [
        hashed(searched(one.identifier, answers(n, one)[:4], recipe=recipe, task=TASK,
                        score=float(not easy(n))), one)
        for n, one in enumerate(QUESTIONS)
    ]  # fmt: skip
    base = Recipe(model="smollm2", draft="gemma3-270m")
    found = tuned(file, [*votes(), *greedy(), *drafted], "greedy", "cascade", base=base)
    assert [one.strategy for one in found.plan.bins] == ["greedy", "cascade"]
    assert found.plan.model == "smollm2+draft(gemma3-270m)"


def test_the_text_says_what_a_plan_is_worth_and_how_to_use_it(file: Path) -> None:
    found = tuned(file, [*votes(), *greedy()], "greedy", "majority-vote(n=6)", worth=1.0)
    shown = tuning_text(found, file="plan.json", width=100, colour=False)
    assert "is not shown to be better than the best single strategy" in " ".join(shown.split())
    assert "1 easiest   agreement 1.00         12  greedy" in shown
    assert f"difficulty-router(plan=plan.json, digest={found.plan.digest})" in shown
    assert "use it" not in tuning_text(found, file="", width=100, colour=False)
