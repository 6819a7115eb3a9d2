"""What searches chose among, looked into by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from forethought import catalogue
from forethought.contracts.comparison import Chances, Comparison, RecipeResult
from forethought.contracts.questions import Sample
from forethought.evaluation.search_analysis import SearchAnalysis
from forethought.evaluation.statistics import compared
from forethought.recipes.recipe import Recipe
from tests.evaluation.stored import OUTPUT, PROMPT, READ, SCORING, WRITE, candidate, plain, searched

BEST = "smollm2@best-of-n(n=4)@self-judge"
VOTE = "smollm2@majority-vote(n=4)"
TEXTS = {"q0": "rrww", "q1": "rwxy", "q2": "wwwr"}
"""r is right."""
SCORES = [0.1, 0.5, 0.9, 0.3]


def check(question: str, answer: str) -> float:
    return float(answer == "The answer is r")


def best_of_n(question: str, texts: str, **more: str) -> Sample:
    pairs = enumerate(zip(texts, SCORES, strict=True))
    answers = [candidate(n, f"The answer is {text}", score=score) for n, (text, score) in pairs]
    score = float(texts[2] == "r")
    return searched(question, answers, recipe=BEST, scoring=80, score=score, **more)


def samples() -> list[Sample]:
    found = [best_of_n(question, texts) for question, texts in TEXTS.items()]
    return found + [plain(question, "x", 0.0) for question in TEXTS]


def told(
    kept: Sequence[Sample],
    names: Sequence[str] = ("smollm2", BEST),
    tasks: Sequence[str] = ("addition",),
) -> Comparison:
    recipes = {name: Recipe.parse(name) for name in names}
    searches = SearchAnalysis.of(recipes, kept, dict.fromkeys(tasks, check))
    return searches.extended(compared(searches.all_samples, list(searches.recipes), tasks))


def by_name(found: Comparison) -> dict[str, RecipeResult]:
    return {one.recipe: one for one in found.standings}


def test_a_vote_is_counted_from_answers_that_another_search_drew() -> None:
    found = by_name(told(samples()))

    assert list(found) == ["smollm2", BEST, VOTE]
    assert found[VOTE].counted_from == BEST
    assert found[BEST].counted_from == ""
    # A tie of two, a tie of four, and one of four that loses.
    assert found[VOTE].score.value == pytest.approx((1 / 2 + 1 / 4 + 0) / 3)
    assert found[VOTE].tokens == pytest.approx(PROMPT + 4 * OUTPUT)
    assert found[BEST].tokens == pytest.approx(PROMPT + 4 * OUTPUT + 80)
    assert found[VOTE].flops == pytest.approx(READ * PROMPT + WRITE * 4 * OUTPUT, rel=0.3)
    assert found[VOTE].flops < found[BEST].flops


def test_a_vote_that_was_asked_for_is_not_counted_again() -> None:
    asked = [replace(one, recipe=VOTE, key=f"{one.key} asked", run={**one.run, "recipe": VOTE})
             for one in samples() if one.recipe == BEST]  # fmt: skip

    found = by_name(told([*samples(), *asked], ["smollm2", BEST, VOTE]))

    assert list(found) == ["smollm2", BEST, VOTE]
    assert found[VOTE].counted_from == ""
    assert found[VOTE].score.value == 0.0


def test_no_vote_is_counted_where_a_budget_cut_answers() -> None:
    cut = best_of_n("q3", "rrrr")
    cut.run["candidates"][3]["finish"] = "budget"

    found = by_name(told([*samples(), cut, plain("q3", "x", 0.0)]))

    assert list(found) == ["smollm2", BEST]
    assert found[BEST].fewer == ()


def test_the_room_that_answers_leave_is_between_a_blind_and_a_knowing_choice() -> None:
    found = by_name(told(samples()))

    assert found[BEST].chances == found[VOTE].chances
    assert found[BEST].chances == Chances(pytest.approx((2 + 1 + 1) / 12), 1.0, 0.0)  # type: ignore[arg-type]
    assert found["smollm2"].chances is None


def test_tasks_count_alike_whatever_their_questions() -> None:
    more = [best_of_n("z", "rrrr", task="words"), plain("z", "x", 0.0, task="words")]

    found = by_name(told([*samples(), *more], tasks=("addition", "words")))

    chances = found[BEST].chances
    assert chances is not None
    assert chances.random == pytest.approx((4 / 12 + 1) / 2)
    assert found[VOTE].score.value == pytest.approx((1 / 4 + 1) / 2)
    assert found[VOTE].fewer[0].score == pytest.approx((4 / 12 + 1) / 2)


def test_fewer_answers_reach_what_subsets_do() -> None:
    found = by_name(told(samples()))
    best, vote = found[BEST].fewer, found[VOTE].fewer

    assert [one.answers for one in best] == [one.answers for one in vote] == [1, 2]
    assert (best[0].score, vote[0].score) == pytest.approx((4 / 12, 4 / 12))
    # Of pairs, the right one wins where its score is the greater: scores 1, 5, 9, 3 in order.
    assert best[1].score == pytest.approx((2 / 6 + 0 / 6 + 1 / 6) / 3)
    # A pair that differs shares the credit, so a vote of two is worth what one is.
    assert vote[1].score == pytest.approx(4 / 12)
    assert vote[1].tokens == pytest.approx(PROMPT + 2 * OUTPUT)
    assert best[1].tokens == pytest.approx(PROMPT + 2 * (OUTPUT + 20))


def test_budgets_buy_answers_or_the_whole_run_or_nothing() -> None:
    found = told(samples())
    names = [one.recipe for one in found.standings]

    first, *_, last = found.equal

    assert first.tokens == pytest.approx(PROMPT + OUTPUT)
    afforded = dict(zip(names, first.afforded, strict=True))
    assert (afforded["smollm2"].score, afforded["smollm2"].tokens) == (0.0, PROMPT + OUTPUT)
    assert (afforded[VOTE].answers, afforded[VOTE].score) == (1, pytest.approx(4 / 12))
    assert (afforded[BEST].answers, afforded[BEST].score) == (0, None)
    assert last.tokens == pytest.approx(PROMPT + 4 * OUTPUT + 80)
    assert [one.answers for one in last.afforded] == [1, 4, 4]
    assert last.afforded[1].score == pytest.approx(0.0)


def test_where_no_draws_tell_there_is_no_table_of_budgets() -> None:
    beam = "smollm2@beam@likelihood"
    kept = [replace(one, recipe=beam, run={**one.run, "recipe": beam})
            for one in samples() if one.recipe == BEST]  # fmt: skip

    found = told([*kept, *samples()[3:]], ["smollm2", beam])

    assert found.equal == ()
    assert [one.fewer for one in found.standings] == [(), ()]
    assert found.standings[1].chances is not None


def test_scoring_is_no_part_of_what_a_vote_costs() -> None:
    # Runs of several lengths tell what each kind of token costs.
    kept = samples()
    kept[0] = searched("q0", kept[0].run["candidates"], recipe=BEST, scoring=800)

    found = by_name(told(kept))

    assert found[VOTE].flops == pytest.approx(READ * PROMPT + WRITE * 4 * OUTPUT, rel=1e-6)
    assert found[BEST].flops == pytest.approx(
        READ * PROMPT + WRITE * 4 * OUTPUT + SCORING * (800 + 80 + 80) / 3
    )


@pytest.mark.parametrize(
    ("strategy", "rule"),
    [
        ("majority-vote", "vote"),
        ("majority-vote(weight=probability)", ""),
        ("best-of-n", "score"),
        ("best-of-n(pick=vote)", ""),
        ("rpc", ""),
    ],
)
def test_only_plain_rules_are_told_for_fewer_answers(strategy: str, rule: str) -> None:
    assert catalogue.build(strategy, "strategies").chooses == rule
