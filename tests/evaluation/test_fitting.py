"""Plans fitted to scores that are known, and strategies replayed on answers that are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forethought import catalogue
from forethought.contracts.plan import DifficultyBin, DifficultyPlan
from forethought.contracts.search import Candidate
from forethought.evaluation.fitting import (
    StrategyMatrix,
    chosen_entries,
    fitted,
    held_out,
    plan_tokens,
    plan_value,
)
from forethought.evaluation.replay import replayed
from forethought.methods.search.majority_vote import MajorityVote
from tests.driver.searches import coin, searched

NAMES = ("cheap", "dear")


def matrix(signs, scores, *, tokens=((10.0,), (40.0,)), probe=20.0, worth=0.0, clusters=()):
    """Two strategies; the dear one goes on with the probe."""
    table = np.array(scores, dtype=float)
    alone = np.broadcast_to(np.array(tokens), table.shape)
    behind = alone + np.array([[probe], [0.0]])
    names = clusters or tuple(f"q{n}" for n in range(table.shape[1]))
    return StrategyMatrix(NAMES, tuple(signs), tuple(names), table, alone, behind, worth)


EASY, HARD = [(1.0, 0.9)] * 8, [(0.5, 0.4)] * 8
SPLIT = matrix(EASY + HARD, [[1.0] * 8 + [0.0] * 8, [0.5] * 8 + [1.0] * 8])
"""The cheap one is better on what is easy, the other on what is hard."""


def fit(table, bins=2, by="agreement"):
    return fitted(table, 4, by, bins)


def test_each_bin_has_the_strategy_that_is_best_in_it():
    plan = fit(SPLIT)
    assert plan.bins == (DifficultyBin((1.0, 0.9), "cheap"), DifficultyBin((0.5, 0.4), "dear"))
    assert (plan.probe, plan.by) == (4, "agreement")
    assert plan_value(plan, SPLIT).tolist() == [1.0] * 16
    assert plan_tokens(plan, SPLIT).tolist() == [30.0] * 8 + [40.0] * 8


def test_one_bin_is_the_best_single_strategy_without_a_probe():
    plan = fit(SPLIT, bins=1)
    assert plan == DifficultyPlan((DifficultyBin((0.0, 0.0), "dear"),))
    assert chosen_entries(SPLIT.scores, plan, SPLIT).mean() == 0.75
    assert plan_tokens(plan, SPLIT).tolist() == [40.0] * 16


def test_bins_of_one_choice_are_one_bin_and_a_plan_that_gains_nothing_has_no_probe():
    better = matrix(EASY + HARD, [[0.0] * 16, [1.0] * 16])
    assert fit(better) == DifficultyPlan((DifficultyBin((0.0, 0.0), "dear"),))
    three = replace(SPLIT, signs=(*[(1.0, 0.9)] * 4, *[(0.8, 0.9)] * 4, *HARD))
    assert [one.strategy for one in fit(three, bins=4).bins] == ["cheap", "dear"]
    equal = matrix(EASY + HARD, [[1.0] * 16, [1.0] * 16])
    assert fit(equal) == DifficultyPlan((DifficultyBin((0.0, 0.0), "cheap"),))


def test_what_no_sign_tells_apart_stays_together():
    alike = replace(SPLIT, signs=((0.7, 0.5),) * 16)
    for bins in (2, 3, 5):
        assert len(fit(alike, bins=bins).bins) == 1
    # Eight are easy, and would fill the first of three bins and half of the next.
    assert fit(SPLIT, bins=3).bins[0] == DifficultyBin((1.0, 0.9), "cheap")


def test_the_second_sign_decides_where_the_first_is_equal():
    told = replace(SPLIT, signs=(*[(0.75, 0.9)] * 8, *[(0.75, 0.4)] * 8))
    assert fit(told).bins[0] == DifficultyBin((0.75, 0.9), "cheap")
    swapped = replace(SPLIT, signs=(*[(0.4, 0.9)] * 8, *[(0.9, 0.2)] * 8))
    assert fit(swapped, by="likelihood").bins[0] == DifficultyBin((0.9, 0.4), "cheap")


def test_tokens_that_cost_are_weighed_the_probes_too():
    scores = [[1.0] * 8 + [0.0] * 8, [1.0] * 8 + [1.0] * 8]
    # The probe costs 20 tokens on easy questions, and saves 10 of the dear strategy's.
    free, priced = matrix(EASY + HARD, scores), matrix(EASY + HARD, scores, worth=0.001)
    assert len(fit(free).bins) == 1
    assert [one.strategy for one in fit(priced).bins] == ["cheap", "dear"]
    waste = matrix(EASY + HARD, scores, worth=0.001, probe=31.0)
    assert fit(waste) == DifficultyPlan((DifficultyBin((0.0, 0.0), "dear"),))


def test_a_bin_has_what_is_worth_most_behind_the_probe():
    # On the easiest questions, which both answer rightly, the cheap one saves 30 tokens alone.
    signs = [(1.0, 0.9)] * 8 + [(0.7, 0.9)] * 8 + HARD
    scores = [[1.0] * 8 + [1.0] * 8 + [0.0] * 8, [1.0] * 8 + [0.0] * 8 + [1.0] * 8]
    plans = [fit(matrix(signs, scores, worth=0.001, probe=size), bins=3) for size in (29, 31)]
    assert [[one.strategy for one in plan.bins] for plan in plans] == [
        ["cheap", "dear"],
        ["dear", "cheap", "dear"],
    ]


@pytest.mark.parametrize("seed", range(20))
def test_on_its_own_questions_a_plan_is_never_worth_less_than_a_single_strategy(seed):
    rng = np.random.default_rng(seed)
    table = matrix(
        [tuple(one) for one in rng.integers(1, 5, (30, 2)) / 4],
        rng.integers(0, 2, (2, 30)), worth=0.001,
    )  # fmt: skip
    for bins in (1, 2, 5):
        plan = fit(table, bins)
        assert plan_value(plan, table).mean() >= table.alone.mean(axis=1).max() - 1e-12
        assert len(plan.bins) <= bins


def test_on_held_out_questions_what_is_real_is_gained():
    signs = [(1.0, 0.9), (0.5, 0.4)] * 20
    table = matrix(signs, [[1.0, 0.0] * 20, [0.5, 1.0] * 20])
    found = held_out(table, 4, "agreement", 2, np.random.default_rng(0))
    assert found.scores.tolist() == [1.0] * 40
    assert found.tokens.mean() == 35.0


def test_what_is_chance_gains_nothing_on_held_out_questions():
    differences, flattered = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        signs = [tuple(one) for one in rng.random((40, 2))]
        table = matrix(signs, rng.random((2, 40)))
        found = held_out(table, 4, "agreement", 4, rng)
        differences.append((found.scores - table.scores).mean())
        plan = fit(table, 4)
        flattered.append(plan_value(plan, table).mean() - table.alone.mean(axis=1).max())
    error = np.std(differences) / 60**0.5
    assert abs(np.mean(differences)) < 3 * error
    assert np.mean(flattered) > 3 * error


def test_questions_of_one_cluster_are_held_out_together():
    # The signs name the cluster, and which strategy is right is the cluster's own: what was
    # learned of others cannot tell, unless a question of the same cluster is among them.
    rng = np.random.default_rng(1)
    right = rng.integers(0, 2, 20).repeat(2)
    signs = [(float(n // 2), 0.0) for n in range(40)]
    named = tuple(f"c{n // 2}" for n in range(40))
    together = matrix(signs, [1 - right, right], clusters=named)
    apart = matrix(signs, [1 - right, right])
    known, told = (
        held_out(table, 4, "agreement", 20, np.random.default_rng(0)).scores.mean()
        for table in (together, apart)
    )
    assert told > 0.75 > known


def answers(seed=0, n=8):
    done = searched(MajorityVote(n=n), coin(0.6), seed=seed)
    return [replace(one, path=(0, place)) for place, one in enumerate(done.found.considered)]


@pytest.mark.parametrize(
    "strategy", ["majority-vote(n=3)", "majority-vote(n=8)", "majority-vote(confident=0.8)"]
)
def test_a_replayed_vote_is_the_vote_that_would_have_been_run(strategy):
    built = catalogue.build(strategy, "strategies")
    for seed in range(10):
        spoken = [replace(one, steps=(f"Answer: {one.text}",)) for one in answers(seed)]
        law = coin(0.6)

        def said(question, text, law=law):
            shown = text.removeprefix("Answer: ")
            return {"Answer: ": 1.0} if not text else law(question, shown)

        place, drawn = replayed(built, spoken)
        counts = [one.text for one in spoken[:drawn]]
        assert counts.count(spoken[place].text) == max(map(counts.count, counts))
        assert drawn <= 8
    fewer = [replayed(built, answers(seed))[1] for seed in range(10)]
    assert max(fewer) == {"majority-vote(n=3)": 3}.get(strategy, 8)


def test_what_asks_for_other_than_kept_answers_is_not_replayed():
    kept = answers()
    for strategy in ("majority-vote(n=9)", "greedy", "beam(n=2)", "best-of-n(n=2)", "adaptive",
                     "cascade", "hedged(n=3)", "rpc(n=9)"):  # fmt: skip
        assert replayed(catalogue.build(strategy, "strategies"), kept) is None, strategy
    assert replayed(catalogue.build("rpc(n=8)", "strategies"), kept) is not None
    assert replayed(MajorityVote(n=1), [Candidate((0, 0), finish="stop")]) == (0, 1)
