import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from forethought.numerics.intervals import Clustered
from forethought.numerics.pairs import (
    detectable_difference,
    mean_difference,
    paired_interval,
    sign_flip_probability,
)

Draw = Callable[[np.random.Generator], list[Clustered]]


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def alone(*values: float) -> Clustered:
    return Clustered.alone(values)


def flips_counted(tasks: list[list[float]]) -> float:
    """The p-value by going through every way the signs could have been."""
    parts = np.array([value / len(task) / len(tasks) for task in tasks for value in task])
    signs = np.array(list(product((1, -1), repeat=len(parts))))
    return float(np.mean(np.abs(signs @ parts) >= abs(parts.sum()) - 1e-12))


def test_the_difference_is_the_mean_over_tasks_of_means_over_questions() -> None:
    assert mean_difference([alone(1, 0, 0, 0), alone(1, 1)]) == pytest.approx(0.625)


def test_equal_pairs_have_a_p_value_of_one() -> None:
    assert sign_flip_probability([alone(0, 0, 0), alone(0)], seeded()) == 1.0


def test_wins_and_losses_of_one_size_give_the_exact_mcnemar_test() -> None:
    nine_to_one = [1.0] * 9 + [-1.0] + [0.0] * 40

    found = sign_flip_probability([alone(*nine_to_one)], seeded())

    assert found == pytest.approx(2 * (1 + 10) / 2**10)


def test_as_many_wins_as_losses_have_a_p_value_of_one() -> None:
    assert sign_flip_probability([alone(*[1.0, -1.0] * 30)], seeded()) == 1.0


@pytest.mark.parametrize(
    "tasks",
    [[[0.5, 0.2, -0.1, 0.0, 0.3]], [[1, 0, -1, 1], [1, 1]], [[0.3] * 4 + [-0.2] * 3]],
)
def test_few_clusters_give_the_exact_sign_flip_test(tasks: list[list[float]]) -> None:
    found = sign_flip_probability([alone(*task) for task in tasks], seeded())

    assert found == pytest.approx(flips_counted(tasks))


def test_drawn_flips_come_near_the_exact_test() -> None:
    values = [0.4, 0.6] * 6 + [-0.4, -0.6] * 3  # 18 questions, two more than are enumerated

    found = sign_flip_probability([alone(*values)], seeded())

    # The standard error of a share of .2 in 10,000 draws is .004.
    assert found == pytest.approx(flips_counted([values]), abs=0.012)


def test_drawn_flips_are_never_impossible() -> None:
    values = np.linspace(0.5, 1, 40).tolist()

    assert sign_flip_probability([alone(*values)], seeded()) == pytest.approx(1 / 10_001)


def test_a_cluster_counts_once() -> None:
    values = [1.0] * 12

    grouped = Clustered.of(values, ["a"] * 6 + ["b"] * 6)

    assert sign_flip_probability([grouped], seeded()) == 0.5
    assert sign_flip_probability([alone(*values)], seeded()) == pytest.approx(2 / 2**12)


def test_an_interval_repeats_with_its_seed() -> None:
    task = alone(*seeded(3).normal(0, 0.3, 25))

    assert paired_interval([task], seeded(1)) == paired_interval([task], seeded(1))
    assert paired_interval([task], seeded(1)) != paired_interval([task], seeded(2))


def test_negated_differences_have_the_negated_interval():
    values = seeded(3).normal(0.1, 0.3, 25)

    there, back = (paired_interval([alone(*one)], seeded()) for one in (values, -values))

    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


def test_an_interval_of_many_questions_is_the_normal_one() -> None:
    values = seeded(5).normal(0.1, 0.2, 800)

    found = paired_interval([alone(*values)], seeded())

    half = 1.96 * values.std(ddof=1) / math.sqrt(800)
    assert found.value == pytest.approx(values.mean())
    # 10,000 draws place the ends to about 1.5 % of the half width; the mending adds about 1 %.
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)


def test_equal_pairs_leave_a_doubt_that_shrinks_with_more_questions() -> None:
    few, many = (paired_interval([alone(*[0.0] * n)], seeded()) for n in (10, 200))

    assert few.low == pytest.approx(-few.high, abs=0.1)
    assert few.low < -0.1
    assert 0 < many.high < 0.02


def test_an_interval_stays_within_what_can_be() -> None:
    found = paired_interval([alone(1, 1, 1)], seeded())

    assert found.value == found.high == 1.0
    assert found.low < 0.7


def test_clusters_are_drawn_whole() -> None:
    values = np.repeat(seeded(2).choice([1.0, -1.0, 0.0], 12), 5)
    clusters = [str(place // 5) for place in range(60)]

    grouped = paired_interval([Clustered.of(values.tolist(), clusters)], seeded())
    single = paired_interval([alone(*values)], seeded())

    assert grouped.high - grouped.low > 1.8 * (single.high - single.low)


def wins_and_losses(count: int, wins: float, losses: float) -> Draw:
    chances = [wins, losses, 1 - wins - losses]
    return lambda rng: [alone(*rng.choice([1.0, -1.0, 0.0], count, p=chances))]


def three_tasks(rng: np.random.Generator) -> list[Clustered]:
    return [
        task
        for count, wins in ((10, 0.2), (25, 0.1), (15, 0.3))
        for task in wins_and_losses(count, wins, 0.1)(rng)
    ]


def sources(rng: np.random.Generator) -> list[Clustered]:
    values = np.repeat(rng.choice([1.0, -1.0, 0.0], 12, p=[0.3, 0.2, 0.5]), 4)
    return [Clustered.of(values.tolist(), [str(place // 4) for place in range(48)])]


def shares(rng: np.random.Generator) -> list[Clustered]:
    return [alone(*np.clip(rng.normal(0.1, 0.2, 15), -1, 1))]


@pytest.mark.parametrize(
    "draw",
    [wins_and_losses(60, 0.2, 0.1), wins_and_losses(15, 0.2, 0.1), three_tasks, sources, shares],
)
def test_intervals_hold_the_truth_nineteen_times_in_twenty(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forethought.numerics.pairs.RESAMPLES", 1000)
    rng, runs = seeded(7), 400

    found = [paired_interval(draw(rng), rng) for _ in range(runs)]

    covered = np.mean([one.low <= 0.1 <= one.high for one in found])
    # Three standard errors of a share of .95 in 400 runs are .033; few questions err upwards.
    assert covered > 0.917


def test_differences_that_are_not_there_are_seldom_found() -> None:
    rng, runs = seeded(8), 400
    draw = wins_and_losses(40, 0.2, 0.2)

    found = np.mean([sign_flip_probability(draw(rng), rng) < 0.05 for _ in range(runs)])

    assert found < 0.05 + 0.033  # three standard errors


def test_the_detectable_difference_follows_its_formula() -> None:
    values = seeded(4).normal(0, 0.4, 50)

    found = detectable_difference([alone(*values)])

    error = values.std(ddof=1) / math.sqrt(50)
    assert found == pytest.approx((1.959964 + 0.841621) * error, rel=1e-6)


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    truth, spread, count = 0.14, 0.35, 50
    rng = seeded(9)

    draws = [rng.normal(truth, spread, count) for _ in range(1500)]
    beyond = [abs(d.mean()) > 1.96 * d.std(ddof=1) / math.sqrt(count) for d in draws]
    stated = np.mean([detectable_difference([alone(*d)]) for d in draws])

    assert stated == pytest.approx(truth, rel=0.02)
    assert np.mean(beyond) == pytest.approx(0.8, abs=0.04)  # three standard errors are .031


def test_equal_pairs_could_not_have_shown_every_difference() -> None:
    few, many = (detectable_difference([alone(*[0.0] * n)]) for n in (10, 100))

    assert 0 < many < 0.05 < few
