import random
from dataclasses import replace

import pytest

from forethought.contracts.comparison import Comparison
from forethought.contracts.errors import StoreError, UsageError
from forethought.contracts.questions import Sample
from forethought.evaluation.statistics import compared
from forethought.numerics.intervals import mean_interval, mean_of_intervals, wilson


def sample(
    recipe: str,
    question: str,
    score: float,
    *,
    task: str = "sums",
    number: int = 0,
    cluster: str = "",
    cost: float = 1.0,
) -> Sample:
    return Sample(
        key=f"{recipe} {task} {question} {number}",
        recipe=recipe,
        task=task,
        question=question,
        cluster=cluster or question,
        number=number,
        score=score,
        run={
            "kept": {"cache_bytes": 10 * cost},
            "timing": {"first_token": cost},
            "cost": {"flops": 100 * cost, "prompt_tokens": 1000 * cost},
        },
        provenance={},
    )


def answers(recipe: str, scores: str, task: str = "sums", cost: float = 1.0) -> list[Sample]:
    """A sample for each digit: 1 for right, 0 for wrong, - for not asked."""
    return [
        sample(recipe, f"q{place}", float(digit), task=task, cost=cost)
        for place, digit in enumerate(scores)
        if digit != "-"
    ]


def test_a_task_has_its_interval_and_the_whole_is_the_mean_over_tasks() -> None:
    samples = answers("a", "1110") + answers("a", "01", task="words")

    (found,) = compared(samples, ["a"], ["sums", "words"]).standings

    assert found.tasks == {"sums": wilson(0.75, 4), "words": wilson(0.5, 2)}
    assert found.score == mean_of_intervals([wilson(0.75, 4), wilson(0.5, 2)])
    assert found.score.value == 0.625
    assert found.questions == 6


def test_several_answers_to_a_question_are_one_score() -> None:
    samples = [
        sample("a", question, score, number=number)
        for question, scores in (("q0", [1, 1, 0, 0]), ("q1", [1]), ("q2", [0, 0]))
        for number, score in enumerate(scores)
    ]

    (found,) = compared(samples, ["a"], ["sums"]).standings

    assert found.tasks["sums"] == mean_interval([0.5, 1, 0], ["q0", "q1", "q2"])
    assert found.questions == 3


def test_questions_from_one_source_stay_together() -> None:
    samples = [
        sample(recipe, f"q{place}", score, cluster=f"book {place // 3}")
        for recipe, scores in (("a", "111111000000"), ("b", "000111000000"))
        for place, score in enumerate(map(float, scores))
    ]

    found = compared(samples, ["a", "b"], ["sums"])

    books = [f"book {place // 3}" for place in range(12)]
    assert found.standings[0].tasks["sums"] == mean_interval([1.0] * 6 + [0.0] * 6, books)
    assert found.differences[0].p_value == 1.0  # one book of four differs
    assert found.differences[0].wins == 3


def test_differences_are_of_the_questions_that_both_answered() -> None:
    samples = answers("a", "1110--") + answers("b", "-00011") + answers("c", "111111")

    found = compared(samples, ["a", "b", "c"], ["sums"])

    pair = next(d for d in found.differences if (d.recipe, d.against) == ("a", "b"))
    assert pair.interval.value == pytest.approx(2 / 3)
    assert (pair.questions, pair.wins, pair.losses) == (3, 2, 0)
    assert pair.p_value == 0.5
    assert found.questions == 3
    assert [one.questions for one in found.standings] == [4, 5, 6]


def test_every_recipe_meets_every_other_both_ways_alike() -> None:
    samples = answers("a", "1101100") + answers("b", "0101010") + answers("c", "1111000")

    found = compared(samples, ["c", "a", "b"], ["sums"]).differences
    by_pair = {(one.recipe, one.against): one for one in found}

    assert list(by_pair) == [
        *[("c", "a"), ("c", "b"), ("a", "c")],
        *[("a", "b"), ("b", "c"), ("b", "a")],
    ]
    there, back = by_pair["a", "b"], by_pair["b", "a"]
    assert there.interval.value == -back.interval.value
    assert (there.interval.low, there.interval.high) == (-back.interval.high, -back.interval.low)
    assert (there.wins, there.losses, there.p_value) == (back.losses, back.wins, back.p_value)


def test_a_difference_over_tasks_weighs_tasks_alike() -> None:
    samples = [
        *(answers("a", "1111") + answers("b", "0000")),
        *(answers("a", "10", task="words") + answers("b", "11", task="words")),
    ]

    found = compared(samples, ["a", "b"], ["sums", "words"]).differences[0]

    assert found.interval.value == pytest.approx((1 - 0.5) / 2)
    assert found.interval.low < 0.25 < found.interval.high


def test_a_recipe_against_its_equal_has_no_difference() -> None:
    samples = answers("a", "10110") + answers("b", "10110")

    found = compared(samples, ["a", "b"], ["sums"]).differences[0]

    assert (found.p_value, found.wins, found.losses) == (1.0, 0, 0)
    assert found.interval.low < found.interval.value == 0.0 < found.interval.high
    assert found.detectable > 0


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_equal_differences_have_equal_intervals(scale: float) -> None:
    shares, names = random.Random(1), ["exact", "prompt-lookup", "griffin"]
    samples = [
        sample(name, f"q{place}", score if name == "exact" else 0.0)
        for place, score in enumerate(scale * shares.random() for _ in range(15))
        for name in names
    ]

    found = compared(samples, names, ["sums"]).differences

    lost, other = (one for one in found if one.against == "exact")
    assert lost.interval == other.interval
    won, another = (one for one in found if one.recipe == "exact")
    assert won.interval == another.interval
    assert (won.interval.low, won.interval.high) == pytest.approx(
        (-lost.interval.high, -lost.interval.low)
    )
    if not lost.wins + lost.losses:
        assert lost.interval.low == pytest.approx(-lost.interval.high)


@pytest.mark.parametrize("recipes", ["ab", "ba"])
def test_rounding_of_means_is_no_win(recipes: str) -> None:
    # Both means are 0.1, and differ in the last bit.
    scores = dict(zip(recipes, ([0.0, 0.0, 0.3], [0.0, 0.2]), strict=True))
    samples = [
        sample(recipe, "q", score, number=number)
        for recipe, found in scores.items()
        for number, score in enumerate(found)
    ]

    pair = compared(samples, ["a", "b"], ["sums"]).differences[0]

    assert (pair.wins, pair.losses, pair.p_value) == (0, 0, 1.0)


def test_costs_are_means_and_the_first_token_a_median() -> None:
    samples = [sample("a", f"q{n}", 1.0, cost=cost) for n, cost in enumerate((1, 2, 9))]

    (found,) = compared(samples, ["a"], ["sums"]).standings

    assert (found.cache_bytes, found.flops, found.read) == (40.0, 400.0, 4000.0)
    assert found.first_token == 2.0


def frontiers(**recipes: tuple[str, float]) -> dict[str, bool]:
    samples = [
        one for name, (scores, cost) in recipes.items() for one in answers(name, scores, cost=cost)
    ]
    found = compared(samples, list(recipes), ["sums"]).standings
    for one in found:  # here all costs rise together
        assert one.frontier in (frozenset(), {"cache_bytes", "first_token", "flops", "tokens"})
    return {one.recipe: bool(one.frontier) for one in found}


def test_a_recipe_is_on_the_frontier_unless_another_is_as_good_and_cheaper() -> None:
    marks = frontiers(
        dear=("1110", 9), cheap=("1000", 1), beaten=("1000", 2), worse=("0000", 1), mid=("1100", 5)
    )

    assert marks == {"dear": True, "cheap": True, "beaten": False, "worse": False, "mid": True}


def test_equals_share_the_frontier() -> None:
    assert frontiers(a=("10", 1), b=("01", 1)) == {"a": True, "b": True}


def test_frontiers_are_drawn_for_each_cost_alone() -> None:
    quick = replace(
        sample("quick", "q0", 1.0),
        run={
            "kept": {"cache_bytes": 99},
            "timing": {"first_token": 0.1},
            "cost": {"flops": 100, "prompt_tokens": 5},
        },
    )

    quick_one, small = compared(
        [quick, sample("small", "q0", 1.0)], ["quick", "small"], ["sums"]
    ).standings

    assert quick_one.frontier == {"first_token", "flops", "tokens"}
    assert small.frontier == {"cache_bytes", "flops"}


def both(samples: list[Sample], seed: int = 0) -> Comparison:
    return compared(samples, ["a", "b"], ["sums"], seed=seed, provenance={"torch": "2.9"})


def test_a_comparison_repeats_whatever_the_order_of_samples() -> None:
    samples = answers("a", "1101100") + answers("b", "0101010")
    shuffled = random.Random(0).sample(samples, len(samples))

    assert both(samples) == both(shuffled)
    assert both(samples).provenance == {"torch": "2.9"}


def test_a_difference_does_not_depend_on_the_other_recipes_or_their_order() -> None:
    shares = random.Random(1)
    samples = [
        sample(recipe, f"q{place}", shares.random()) for recipe in "abc" for place in range(9)
    ]

    alone = both(samples).differences
    among = compared(samples, ["c", "b", "a"], ["sums"]).differences

    assert set(alone) < set(among)
    assert alone != both(samples, seed=1).differences


def test_samples_of_other_recipes_and_tasks_are_left_out() -> None:
    samples = answers("a", "10") + answers("b", "11")
    others = answers("c", "00") + answers("a", "00000", task="words", cost=99)

    assert both(samples + others) == both(samples)


def test_a_recipe_without_answers_to_a_task_is_an_error() -> None:
    with pytest.raises(UsageError, match="b has no answer to a question of sums"):
        both(answers("a", "10"))


def test_recipes_that_share_no_question_are_an_error() -> None:
    with pytest.raises(UsageError, match="no question in common"):
        both(answers("a", "10--") + answers("b", "--10"))


def test_an_answer_that_is_there_twice_is_an_error() -> None:
    samples = answers("a", "10") + answers("b", "11")

    with pytest.raises(UsageError, match="twice"):
        both([*samples, replace(samples[0], key="of changed data")])


def test_answers_that_disagree_on_the_source_are_an_error() -> None:
    samples = [sample("a", "q0", 1.0), sample("a", "q0", 1.0, number=1, cluster="book")]

    with pytest.raises(UsageError, match="different data"):
        compared(samples, ["a"], ["sums"])


@pytest.mark.parametrize("change", [{"provenance": {"data": "f0"}}, {"cluster": "book"}])
def test_questions_that_changed_between_recipes_are_an_error(change: dict[str, object]) -> None:
    first, second = sample("a", "q0", 1.0), sample("b", "q0", 1.0)

    with pytest.raises(UsageError, match="question q0 of sums is a different one for b"):
        both([first, replace(second, **change)])


def test_a_run_without_its_costs_is_an_error() -> None:
    broken = replace(sample("a", "q0", 1.0), run={"kept": {}, "timing": {}, "cost": {}})

    with pytest.raises(StoreError, match=r"kept\.cache_bytes"):
        compared([broken], ["a"], ["sums"])


@pytest.mark.parametrize(
    ("recipes", "tasks"), [([], ["sums"]), (["a"], []), (["a", "a"], ["sums"])]
)
def test_names_to_compare_are_there_once(recipes: list[str], tasks: list[str]) -> None:
    with pytest.raises(UsageError):
        compared(answers("a", "10"), recipes, tasks)


def test_equal_scores_have_equal_intervals_whatever_their_names() -> None:
    samples = [one for name in ("a", "b", "c") for one in answers(name, "1101000011")]
    samples += answers("exact", "0101010101")

    found = compared(samples, ["exact", "a", "b", "c"], ["sums"])

    intervals = [one.interval for one in found.differences if one.against == "exact"]
    assert len(intervals) == 3
    assert len(set(intervals)) == 1
