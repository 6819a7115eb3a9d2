"""Rankings by imperfect judges against quadrature, exact laws and the geometry of the simplex."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom

from forethought.beliefs.judges import MISSING, JudgeModel, JudgeScores, robust_pairs
from forethought.contracts.errors import UsageError

QUICK = JudgeModel(chains=8, draws=200)


def of_counts(counts: np.ndarray) -> JudgeScores:
    """Scores known by their counts [judges, candidates, levels] alone; items are not shared."""
    judges, candidates, levels = counts.shape
    most = int(counts.sum(axis=2).max())
    table = np.full((judges, candidates, judges * most), MISSING)
    for judge in range(judges):
        for candidate in range(candidates):
            given = np.repeat(np.arange(levels), counts[judge, candidate])
            table[judge, candidate, judge * most : judge * most + len(given)] = given
    return JudgeScores.of(levels, table)


def by_grid(counts: list[list[int]], diagonal: float) -> np.ndarray:
    """Expected shares of level 1 for one judge of two levels, by a grid over the judge.

    `counts` holds (score 0, score 1) of each candidate.
    """
    place = (np.arange(60) + 0.5) / 60
    false, true = np.meshgrid(place, place)  # P(score 1 | level 0), P(score 1 | level 1)
    weight = beta(1, diagonal).pdf(false) * beta(diagonal, 1).pdf(true) * (true >= false)
    share = (np.arange(200) + 0.5) / 200
    shown = false[..., None] + (true - false)[..., None] * share
    each = [binom(sum(pair), shown).pmf(pair[1]) for pair in counts]
    total = weight * np.prod([one.mean(axis=2) for one in each], axis=0)
    means = [(one * share).mean(axis=2) / one.mean(axis=2).clip(1e-300) for one in each]
    return np.array([(total * mean).sum() / total.sum() for mean in means])


def test_one_judge_of_two_levels_agrees_with_quadrature() -> None:
    counts = [[6, 24], [15, 15], [22, 8]]

    found = JudgeModel(chains=20, draws=400).condition(of_counts(np.array([counts])))

    # 20 chains whose draws depend on each other: a standard error of about 0.01.
    assert found.mean == pytest.approx(by_grid(counts, 4.0), abs=0.03)
    assert found.warning == ""
    assert found.above()[0, 2] > 0.9
    assert found.best().sum() == pytest.approx(1)
    assert found.best()[0] > 0.7
    assert found.ranks()[0, 0] == 1


def test_a_perfect_judge_gives_the_dirichlet_law() -> None:
    perfect = JudgeModel(diagonal=1e9, wrong=1e-3, chains=4, draws=1000)

    found = perfect.condition(of_counts(np.array([[[3, 5, 2], [0, 1, 9]]])))

    assert found.levels.mean(axis=0) == pytest.approx(
        np.array([[4, 6, 3], [1, 2, 10]]) / 13, abs=0.012
    )
    spread = np.sqrt(4 / 13 * 9 / 13 / 14)
    assert found.levels[:, 0, 0].std() == pytest.approx(spread, rel=0.06)


def test_a_judge_that_tells_nothing_leaves_the_prior() -> None:
    blind = JudgeModel(diagonal=1e9, wrong=1e9, chains=4, draws=1000)

    found = blind.condition(of_counts(np.array([[[50, 0], [0, 50]]])))

    assert found.mean == pytest.approx([0.5, 0.5], abs=0.06)
    assert found.draws.std(axis=0) == pytest.approx([12**-0.5] * 2, rel=0.1)


def test_with_three_levels_two_judges_explain_the_same_scores_by_opposite_orders() -> None:
    """The counterexample of the geometry: both judges are ordered, and both fit exactly."""
    shown = np.array([[0.30, 0.40, 0.30], [0.40, 0.25, 0.35]])
    orders = set()
    rng = np.random.default_rng(0)
    for _ in range(2000):
        judge = np.sort(rng.dirichlet([1, 1, 1], size=3).cumsum(axis=1), axis=0)[::-1]
        judge = np.diff(judge, axis=1, prepend=0.0)
        if abs(np.linalg.det(judge)) < 1e-3 or judge.min() < 0:
            continue
        levels = shown @ np.linalg.inv(judge)
        if (levels >= 0).all():
            expected = levels @ np.arange(3)
            orders.add(bool(expected[0] > expected[1]))

    assert orders == {True, False}
    table = of_counts((100 * shown[None]).round().astype(int))
    assert "depends on the prior" in QUICK.condition(table).warning


def simulated(judges: np.ndarray, levels: np.ndarray, items: int, seed: int = 0) -> JudgeScores:
    """Scores of judges [judges, level, score] for candidates [candidates, levels]."""
    rng = np.random.default_rng(seed)
    true = np.stack([rng.choice(len(row), items, p=row) for row in levels])
    scores = [
        [[rng.choice(judge.shape[1], p=judge[level]) for level in row] for row in true]
        for judge in judges
    ]
    return JudgeScores.of(levels.shape[1], np.array(scores), true)


JUDGE = np.array([[0.8, 0.15, 0.05], [0.2, 0.6, 0.2], [0.05, 0.25, 0.7]])
LEVELS = np.array([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]])


def test_true_levels_teach_the_judges() -> None:
    table = simulated(JUDGE[None], LEVELS, 150)
    some = table.gold.copy()
    some[:, 60:] = -1

    found = QUICK.condition(JudgeScores(3, table.scores, some))

    assert found.warning == ""
    assert found.judges.mean(axis=0)[0] == pytest.approx(JUDGE, abs=0.13)
    assert found.mean == pytest.approx(table.gold.mean(axis=1), abs=0.15)
    assert found.above()[0, 1] > 0.95


def test_a_copied_judge_counts_once_and_an_independent_one_narrows() -> None:
    one = simulated(JUDGE[None], LEVELS, 80)
    hidden = np.full_like(one.gold, -1)
    single = JudgeScores(3, one.scores, hidden)
    copied = JudgeScores(3, np.concatenate([one.scores] * 2), hidden)
    more = simulated(np.stack([JUDGE] * 4), LEVELS, 80)

    assert copied.copies() == [(0, 1)]
    assert QUICK.condition(copied).draws == pytest.approx(QUICK.condition(single).draws)
    four = QUICK.condition(JudgeScores(3, more.scores, hidden))
    assert four.warning == ""
    assert four.draws.std(axis=0).mean() < QUICK.condition(single).draws.std(axis=0).mean()


def test_doubt_in_a_judges_constancy_widens() -> None:
    table = of_counts(np.array([[[10, 40], [20, 30]]]))
    sure = QUICK.condition(table).draws
    doubtful = JudgeModel(drift=3.0, chains=8, draws=200).condition(table).draws

    gaps = [one[:, 0] - one[:, 1] for one in (sure, doubtful)]
    assert gaps[1].std() > 1.15 * gaps[0].std()


def test_only_orders_of_every_prior_are_robust() -> None:
    clear = of_counts(np.array([[[3, 27], [27, 3]]]))
    settings = {"diagonals": (2.0, 8.0), "drifts": (5.0, None)}

    assert robust_pairs(clear, model=JudgeModel(chains=4, draws=150), **settings) == [(0, 1)]
    level = of_counts(np.array([[[15, 15], [15, 15]]]))
    assert robust_pairs(level, model=JudgeModel(chains=4, draws=150), **settings) == []


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="make no table"):
        JudgeScores.of(3, np.zeros((2, 3)))
    with pytest.raises(UsageError, match="outside the levels"):
        JudgeScores.of(2, np.full((1, 1, 4), 2))
