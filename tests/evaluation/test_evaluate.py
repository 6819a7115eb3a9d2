"""Evaluations on tiny models: nothing is lost or asked twice, and order changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from forethought.contracts.errors import BadDataError, BudgetTooSmallError, ForethoughtError
from forethought.contracts.questions import Question, Task
from forethought.evaluation.cells import LocalCells
from forethought.evaluation.evaluate import Evaluation
from forethought.recipes.recipe import Recipe
from forethought.reports.comparison import comparison_csv, comparison_text
from forethought.sessions.batch import Answers
from forethought.storage.store import Store
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, TARGET

MODELS = {"target": TARGET, **DRAFTS}
EXACT = Recipe(model="target")
RECIPES = (
    EXACT,
    replace(EXACT, approximate=("snapkv(keep=120)",)),
    replace(EXACT, draft="same-tokens", approximate=("specpc-shallow(keep=150)",)),
    replace(EXACT, temperature=1.0, seed=5),
)
PROVENANCE = {"machine": "here", "processor": "one", "torch": "2"}


@dataclass(frozen=True)
class Letters(Task):
    """How many of the answer's letters are lower case: random models get some score."""

    count: int = 3
    broken: str = ""
    answer_tokens = 8

    def questions(self, measure) -> Iterator[Question]:
        for n in range(self.count):
            yield Question(f"q{n}", f"What is the code of locker {n}?", DOCUMENT[: 300 + 20 * n])

    def check(self, question, answer) -> float:
        if question.identifier == self.broken:
            raise BadDataError("there is no reference")
        return sum(letter.islower() for letter in answer) / max(1, len(answer))


def evaluation(store, recipes=RECIPES, task=Letters(), samples=1, models=MODELS):
    answers = Answers(lambda name, weights: models[name], clock=iter(range(10**9)).__next__)
    return Evaluation(recipes, {"letters": task}, store, LocalCells(answers), PROVENANCE, samples)


def table(comparison):
    return comparison_csv(comparison, timing=False)


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "results.sqlite") as opened:
        yield opened


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("whole") / "results.sqlite") as opened:
        found = evaluation(opened).run()
        return table(found), {sample.key: sample for sample in opened.samples()}


def test_every_recipe_answers_every_question(store):
    found = evaluation(store).run()

    assert [one.recipe for one in found.standings] == [recipe.label for recipe in RECIPES]
    assert found.questions == 3
    assert len(store.samples()) == 12
    assert "letters" in comparison_text(found, width=100, colour=False)


def test_a_second_run_asks_nothing(store):
    first = evaluation(store).run()

    again = evaluation(store, models={"target": TARGET})  # no draft to be had
    reports = []
    second = again.run(reports.append)

    assert [(one.done, one.asked, one.total) for one in reports] == [(12, 0, 12)]
    assert table(second) == table(first)


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_stopped_run_goes_on_where_it_was(store, whole, stop):
    def until(progress):
        if progress.asked == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluation(store).run(until)
    assert len(store.samples()) == stop

    reports = []
    found = evaluation(store).run(reports.append)

    assert reports[-1].asked == 12 - stop
    assert table(found) == whole[0]


def test_answers_do_not_depend_on_who_is_asked_with_them(store, whole):
    for recipe in reversed(RECIPES):
        evaluation(store, (EXACT, recipe) if recipe != EXACT else (EXACT,)).run()

    assert len(store.samples()) == 12
    for sample in store.samples():
        expected = whole[1][sample.key]
        assert sample.run["answer"] == expected.run["answer"]
        assert sample.run["cost"]["flops"] == pytest.approx(expected.run["cost"]["flops"])
        assert sample.score == expected.score


def test_more_questions_keep_the_first_ones(store):
    evaluation(store, task=Letters(2)).run()

    reports = []
    evaluation(store, task=Letters(3)).run(reports.append)

    assert (reports[0].done, reports[-1].asked) == (8, 4)


def test_several_samples_differ_and_are_one_score(store):
    drawn = replace(EXACT, temperature=1.5)

    found = evaluation(store, (drawn,), samples=4).run()

    kept = store.samples()
    assert len(kept) == 12
    assert len({sample.run["answer"] for sample in kept}) > 6
    assert len({sample.run["seed"] for sample in kept}) == 12
    assert found.questions == 3


def test_the_task_says_how_long_an_answer_may_be_unless_the_recipe_does(store):
    evaluation(store, (EXACT, replace(EXACT, max_tokens=3))).run()

    assert {s.recipe: s.run["cost"]["output_tokens"] for s in store.samples()} == {
        "target": 8,
        "target --max-tokens=3": 3,
    }


def test_what_cannot_be_judged_stops_the_run_and_keeps_the_rest(store):
    with pytest.raises(ForethoughtError, match="letters, q1: there is no reference"):
        evaluation(store, (EXACT,), Letters(broken="q1")).run()

    assert {"q0"} <= {sample.question for sample in store.samples()} <= {"q0", "q2"}
    assert all(sample.score > 0 for sample in store.samples())


def test_a_task_without_questions_is_an_error(store):
    with pytest.raises(BadDataError, match="has no questions"):
        evaluation(store, task=Letters(0)).run()


def test_a_sample_says_what_made_it(store):
    evaluation(store, RECIPES[:2]).run()

    sample = store.samples()[0]
    assert sample.provenance["machine"] == "here"
    assert len(sample.provenance["data"]) == 64
    assert sample.run["recipe"] == "target"
    assert sample.run["cost"]["prompt_tokens"] > 0


@pytest.mark.parametrize("search", ["", "majority-vote(n=2)"])
def test_a_recipe_that_a_question_does_not_fit_is_left_out_and_the_others_go_on(store, search):
    small = replace(EXACT, approximate=("bm25(keep=3)",), search=search)
    found = evaluation(store, (EXACT, small)).run()

    assert [one.recipe for one in found.standings] == ["target"]
    assert found.standings[0].questions == 3
    refusal = found.refusals[0]
    assert (refusal.recipe, refusal.task) == (small.label, "letters")
    assert refusal.reason.startswith(f"{small.spelling}: bm25 keeps 3 tokens")
    assert "Left out at q" in comparison_text(found, width=200, colour=False)


class Bare(Letters):
    """The same without documents."""

    def questions(self, measure):
        for one in super().questions(measure):
            yield replace(one, document="")


def test_a_method_that_finds_nothing_to_choose_from_is_left_out_too(store):
    by_question = replace(EXACT, approximate=("bm25(keep=0.5)",))
    found = evaluation(store, (EXACT, by_question), Bare()).run()

    assert [one.recipe for one in found.standings] == ["target"]
    assert "no question behind a document" in found.refusals[0].reason


def test_where_the_first_recipe_does_not_fit_there_is_nothing_to_compare_with(store):
    small = replace(EXACT, approximate=("bm25(keep=3)",))
    with pytest.raises(BudgetTooSmallError, match="must stay"):
        evaluation(store, (small, EXACT)).run()


def test_samples_of_two_machines_are_told_apart(store):
    evaluation(store, (EXACT,), Letters(1)).run()
    other = replace(evaluation(store, (EXACT,)), provenance={"processor": "another", "torch": "9"})
    found = other.run()

    assert found.mixed == ("processor", "torch")
    text = comparison_text(found, width=200, colour=False)
    assert "more than one version of torch" in text
    assert "differ in processor: their times" in text
    assert "differ in processor" not in comparison_text(
        found, width=200, colour=False, timing=False
    )


def test_searches_are_compared_with_plain_answers_and_go_on_where_they_were(store, tmp_path):
    recipes = (EXACT, replace(EXACT, search="majority-vote(n=3)"), replace(EXACT, search="greedy"))
    found = evaluation(store, recipes).run()
    samples = {(s.recipe, s.question): s for s in store.samples()}

    exact, vote, greedy = found.standings
    assert greedy.score.value == exact.score.value
    assert vote.flops > exact.flops
    for number in range(3):
        plain, voted = (samples[name, f"q{number}"].run for name in ("target", vote.recipe))
        assert len(voted["candidates"]) == 3
        assert samples[greedy.recipe, f"q{number}"].run["answer"] == plain["answer"]

    with Store.open(tmp_path / "other.sqlite") as other:
        alone = evaluation(other, recipes[1:2], Letters(1)).run()
        assert alone.standings[0].questions == 1
        (sample,) = other.samples()
        assert sample.run["answer"] == samples[vote.recipe, "q0"].run["answer"]


def test_searches_that_ask_alike_choose_among_the_same_answers(store):
    searches = ("majority-vote(n=3)", "rpc(n=3, prune_by=texts, prune_from=16)")
    evaluation(store, tuple(replace(EXACT, search=one) for one in searches)).run()
    drawn = {}
    for sample in store.samples():
        texts = tuple(one["text"] for one in sample.run["candidates"])
        drawn.setdefault(sample.question, []).append(texts)

    assert all(first == second for first, second in drawn.values())
    assert len({first for first, _ in drawn.values()}) > 1
    # Three answers a question, each asked for once.
    pieces = store.connection.execute("SELECT COUNT(*) FROM pieces").fetchone()[0]
    assert pieces == 3 * len(drawn)


def test_a_search_that_was_stopped_asks_nothing_twice(store):
    recipes = (replace(EXACT, search="majority-vote(n=3)"),)
    first = evaluation(store, recipes).run()
    store.connection.execute("DELETE FROM samples WHERE question = 'q1'")

    class Silent:
        def __getattr__(self, name):
            assert name != "forward", "the model was asked"
            return getattr(TARGET.network, name)

    again = evaluation(store, recipes, models={"target": replace(TARGET, network=Silent())}).run()
    assert table(again) == table(first)


def test_answers_behind_the_whole_prompt_are_not_replayed_from_a_shortened_one(store):
    short = replace(EXACT, approximate=("bm25(keep=0.5)",), search="majority-vote(n=1)")
    rates = "success=0.9, shortened=true, shortened_success=0.02"
    aside = replace(short, search=f"spend(n=1, {rates})")
    for recipe in (short, aside):  # equal random streams, and one replay log
        evaluation(store, (recipe,), task=Letters(1)).run()

    read = {one.recipe: one.run["cost"]["prompt_tokens"] for one in store.samples()}
    assert 0 < read[short.label] < read[aside.label]
