import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.comparison import Interval
from forethought.numerics.intervals import Clustered, mean_interval, mean_of_intervals, wilson

Z = 1.959963984540054
Draw = Callable[[np.random.Generator], tuple[list[float], list[str]]]


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (1, 10), (5, 10), (81, 263), (10, 10)])
def test_wilson_ends_are_where_the_score_test_just_rejects(hits: int, count: int) -> None:
    """The ends solve |hits/count - p| = z sqrt(p (1 - p) / count)."""
    share = hits / count

    found = wilson(share, count)

    for end in (found.low, found.high):
        assert abs(share - end) == pytest.approx(Z * math.sqrt(end * (1 - end) / count), abs=1e-9)
    assert found.low < found.high


def test_wilson_has_width_where_all_or_none_are_right() -> None:
    none, every = wilson(0.0, 20), wilson(1.0, 20)

    assert none.low == 0.0
    assert none.high == pytest.approx(Z**2 / (20 + Z**2))
    assert (every.low, every.high) == pytest.approx((1 - none.high, 1.0))


def test_independent_scores_of_zero_and_one_get_wilsons_interval() -> None:
    assert mean_interval([1, 0, 0, 1, 1], names(5)) == wilson(0.6, 5)


def test_the_clustered_error_follows_its_formula() -> None:
    grouped = Clustered.of([1, 0, 1, 1, 0.5], ["a", "a", "b", "b", "c"])
    mean = 3.5 / 5
    residuals = [1 - 2 * mean, 2 - 2 * mean, 0.5 - mean]

    assert grouped.mean == pytest.approx(mean)
    assert grouped.error == pytest.approx(math.sqrt(3 / 2 * sum(r * r for r in residuals)) / 5)


def test_clusters_of_one_have_the_error_of_the_mean() -> None:
    scores = np.random.default_rng(0).random(30)

    found = Clustered.of(scores.tolist(), names(30)).error

    assert found == pytest.approx(float(scores.std(ddof=1)) / math.sqrt(30))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_doubled_questions_do_not_narrow_the_interval(scores: list[float]) -> None:
    sources = names(len(scores))
    once, twice = Clustered.of(scores, sources), Clustered.of(scores * 2, sources * 2)

    assert twice.error == pytest.approx(once.error, abs=1e-12)
    assert twice.error >= Clustered.alone(scores * 2).error - 1e-12
    doubled, single = mean_interval(scores * 2, sources * 2), mean_interval(scores, sources)
    assert doubled.high - doubled.low >= (single.high - single.low) * (1 - 1e-6)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abcdef")), min_size=1, max_size=30))
def test_intervals_hold_the_mean_and_stay_between_0_and_1(pairs: list[tuple[float, str]]) -> None:
    scores, clusters = [score for score, _ in pairs], [cluster for _, cluster in pairs]

    found = mean_interval(scores, clusters)

    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 1e-9
    assert found.value == pytest.approx(np.mean(scores))


def test_constant_scores_are_not_taken_for_certain() -> None:
    assert mean_interval([0.5] * 8, names(8)) == wilson(0.5, 8)
    assert mean_interval([1.0] * 8, ["a", "b"] * 4) == wilson(1.0, 2)
    assert mean_interval([0.0, 1.0, 1.0], ["a"] * 3) == wilson(2 / 3, 1)


def test_two_clusters_that_happen_to_agree_are_not_taken_for_certain() -> None:
    found = mean_interval([0, 1, 0, 1], ["a", "a", "b", "b"])

    assert found.high - found.low > 0.5


def test_clusters_that_nearly_agree_say_no_more_than_independent_questions() -> None:
    scores = [float(right < hits) for hits in (5, 5, 5, 6) for right in range(10)]

    found = mean_interval(scores, [str(place // 10) for place in range(40)])

    assert found.high - found.low > wilson(21 / 40, 40).high - wilson(21 / 40, 40).low


def test_scores_that_vary_less_than_zero_and_one_have_narrower_intervals() -> None:
    scores = [0.5, 0.6] * 20

    found = mean_interval(scores, names(40))

    # 2.0227 is Student's t at 39; Wilson's form pulls towards one half by less than a hundredth.
    half = 2.0227 * float(np.std(scores, ddof=1)) / math.sqrt(40)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.01)


def shares(count: int) -> Draw:
    return lambda rng: (rng.beta(0.5, 1.5, count).tolist(), names(count))


def right_or_wrong(count: int) -> Draw:
    return lambda rng: (rng.binomial(1, 0.25, count).astype(float).tolist(), names(count))


def clustered(rng: np.random.Generator) -> tuple[list[float], list[str]]:
    chances = np.repeat(rng.beta(0.5, 1.5, 15), 4)
    clusters = [str(place // 4) for place in range(60)]
    return rng.binomial(1, chances).astype(float).tolist(), clusters


@pytest.mark.parametrize("draw", [shares(8), shares(30), right_or_wrong(20), clustered])
def test_intervals_hold_the_truth_nineteen_times_in_twenty(draw: Draw) -> None:
    rng, runs = np.random.default_rng(0), 800

    found = [mean_interval(*draw(rng)) for _ in range(runs)]

    covered = np.mean([one.low <= 0.25 <= one.high for one in found])
    # Three standard errors of a share of .95 in 800 runs are .023; small samples may cost .01.
    assert 0.917 < covered < 0.983


def test_clusters_taken_for_independent_questions_would_miss_the_truth() -> None:
    rng = np.random.default_rng(0)
    draws = [clustered(rng)[0] for _ in range(800)]
    naive = [mean_interval(scores, names(len(scores))) for scores in draws]

    assert np.mean([one.low <= 0.25 <= one.high for one in naive]) < 0.9


def test_the_mean_of_one_interval_is_itself() -> None:
    found = mean_of_intervals([Interval(0.4, 0.3, 0.6)])

    assert (found.value, found.low, found.high) == pytest.approx((0.4, 0.3, 0.6))


def test_distances_to_the_ends_add_up_as_errors_do() -> None:
    found = mean_of_intervals([Interval(0.5, 0.2, 0.6), Interval(1.0, 0.6, 1.0)])

    assert found.value == 0.75
    assert found.low == pytest.approx(0.75 - math.sqrt(0.3**2 + 0.4**2) / 2)
    assert found.high == pytest.approx(0.75 + 0.1 / 2)


def test_the_mean_over_tasks_holds_the_truth_nineteen_times_in_twenty() -> None:
    rng, truths, runs = np.random.default_rng(1), (0.2, 0.5, 0.9), 600

    def found() -> Interval:
        scores = [rng.binomial(1, truth, 20).astype(float).tolist() for truth in truths]
        return mean_of_intervals([mean_interval(one, names(20)) for one in scores])

    intervals = [found() for _ in range(runs)]
    covered = np.mean([one.low <= np.mean(truths) <= one.high for one in intervals])
    assert 0.923 < covered < 0.98  # .95 and three standard errors of 600 runs
