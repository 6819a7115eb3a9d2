"""Thresholdout: its rule, its state, and honest scores after selection."""

from __future__ import annotations

import numpy as np
import pytest

from forethought.beliefs.holdout import Thresholdout, halves
from forethought.contracts.errors import BadDataError, BudgetSpentError, UsageError


def test_without_noise_every_gap_is_charged_and_told() -> None:
    gate = Thresholdout(threshold=0.0, sigma=0.0, budget=2)

    same = gate.answer("a", [1, 0], [0, 1])
    gap = gate.answer("b", [1, 1], [0, 1])

    assert (same.value, same.charged, same.left) == (0.5, False, 2)
    assert (gap.value, gap.charged, gap.left) == (0.5, True, 1)


def test_an_answer_within_the_threshold_is_the_tuning_mean() -> None:
    gate = Thresholdout(threshold=0.3, sigma=0.001, budget=5)

    found = gate.answer("a", [1.0] * 6 + [0.0] * 4, [1.0] * 5 + [0.0] * 5)

    assert found.value == 0.6
    assert not found.charged


def test_a_spent_budget_refuses() -> None:
    gate = Thresholdout(threshold=0.0, sigma=0.0, budget=1)
    gate.answer("a", [1.0], [0.0])

    for query in ("a", "b"):
        with pytest.raises(BudgetSpentError, match="budget is spent"):
            gate.answer(query, [1.0], [1.0])
    assert gate.budget == 0


def test_asking_again_gives_the_same_noise_at_no_charge() -> None:
    gate = Thresholdout(threshold=0.0, sigma=0.1, budget=50)

    first = [gate.answer("a", [1.0], [0.0]).value for _ in range(3)]

    assert len(set(first)) == 1
    assert gate.queries == 1
    assert gate.answer("b", [1.0], [0.0]).value != first[0]


def test_a_stored_state_goes_on_as_if_nothing_had_stopped() -> None:
    rng = np.random.default_rng(0)
    asked = [(str(n), rng.random(9).tolist(), rng.random(9).tolist()) for n in range(12)]
    whole, stopped = (Thresholdout(threshold=0.05, sigma=0.02, budget=30) for _ in range(2))

    expected = [whole.answer(*one) for one in asked]
    found = [stopped.answer(*one) for one in asked[:5]]
    again = Thresholdout.read(stopped.text())
    found += [again.answer(*one) for one in asked[5:]]

    assert found == expected
    assert {one.charged for one in found} == {True, False}
    with pytest.raises(BadDataError, match="no state"):
        Thresholdout.read("[1]")
    with pytest.raises(BadDataError, match="damaged"):
        Thresholdout.read('{"threshold": NaN, "sigma": 0.1, "budget": 3}')


def test_noise_has_the_published_scales() -> None:
    sigma, values, charges = 0.02, [], 0
    for seed in range(4000):
        gate = Thresholdout(threshold=0.1, sigma=sigma, budget=1, seed=seed)
        values.append(gate.answer("a", [0.0], [1.0]).value - 1.0)
        close = Thresholdout(threshold=0.1, sigma=sigma, budget=1, seed=seed)
        charges += close.answer("a", [0.0], [0.1]).charged

    # A Laplace law of scale s has mean absolute value s: a standard error of s / 63.
    assert np.mean(np.abs(values)) == pytest.approx(sigma, rel=0.1)
    # A gap of exactly the threshold is charged half of the time.
    assert charges / 4000 == pytest.approx(0.5, abs=0.04)


def test_selection_among_noise_does_not_flatter() -> None:
    """The experiment of the paper, small: 400 features without signal, kept by both halves."""
    items, features, gaps = 1000, 400, {"naive": [], "gate": []}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        agrees = rng.random((2, features, items)) < 0.5  # a feature equals the label
        gate = Thresholdout.for_items(items, budget=10_000, seed=seed)
        tuned = agrees[0].mean(axis=1)
        for name in gaps:
            if name == "naive":
                told = agrees[1].mean(axis=1)
            else:
                told = np.array(
                    [
                        gate.answer(str(one), agrees[0, one], agrees[1, one]).value
                        for one in range(features)
                    ]
                )
            keep = ((tuned - 0.5) * (told - 0.5) > 0) & (np.abs(told - 0.5) > 0.5 / items**0.5)
            sides = np.sign(tuned[keep] - 0.5)
            votes = [(sides @ np.where(half[keep], 1, -1)) > 0 for half in agrees]
            means = [float(vote.mean()) for vote in votes]
            answer = gate.answer("final", votes[0], votes[1]).value if name == "gate" else means[1]
            gaps[name].append(answer - 0.5)

    # The truth is one half. Of 1,000 items, chance leaves 0.016.
    assert np.mean(gaps["naive"]) > 0.06
    assert abs(np.mean(gaps["gate"])) < 0.05


def test_halves_keep_clusters_and_kinds() -> None:
    clusters = {f"q{n}": f"c{n // 3}" for n in range(120)}
    strata = {f"q{n}": "easy" if n < 60 else "hard" for n in range(120)}

    first, second = halves(clusters, np.random.default_rng(0), strata)

    assert sorted(first + second) == sorted(clusters)
    assert not {clusters[one] for one in first} & {clusters[one] for one in second}
    assert abs(len(first) - len(second)) <= 3
    assert abs(sum(strata[one] == "easy" for one in first) - 30) <= 3
    assert halves(clusters, np.random.default_rng(0), strata) == (first, second)


def test_few_items_and_scores_out_of_range_are_refused() -> None:
    assert Thresholdout.for_items(10_000).threshold == pytest.approx(0.04)
    assert Thresholdout.for_items(10_000).sigma == pytest.approx(0.01)
    with pytest.raises(UsageError, match="199 holdout items"):
        Thresholdout.for_items(199)
    gate = Thresholdout(0.1, 0.1, 3)
    for bad in ([1.5], [], [float("nan")]):
        with pytest.raises(UsageError, match="outside"):
            gate.answer("a", bad, [1.0])
