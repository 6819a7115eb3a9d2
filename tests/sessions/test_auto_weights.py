"""What `--weights auto` chooses: by measured passes, and by stored scores if a loss is allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forethought.recipes.recipe import Recipe
from forethought.sessions.auto_weights import (
    calibrated_choice,
    choose_weights,
    sequences,
    with_weights,
)
from tests.sessions.machines import known, shape, timed
from tests.sessions.test_auto import samples
from tests.tiny_model import tiny_model

RECIPE = Recipe(model="target", approximate=("auto",), max_tokens=40)
EQUAL = [*samples([1] * 200), *samples([1] * 200, " --weights=w8a8")]
FAST = [timed(shape(prompt=n, weights="w8a8"), 0.4) for n in range(1600, 2400, 40)]
USUAL = [timed(shape(prompt=n), 1.0) for n in range(1600, 2400, 40)]


def test_a_faster_format_of_small_loss_is_chosen_where_a_loss_is_allowed():
    choice = choose_weights(RECIPE, known([*FAST, *USUAL], EQUAL))

    assert choice.chosen == "w8a8"
    assert (choice.basis, choice.measured) == ("measured", 40)
    assert "by 20 runs measured on this machine" in choice.reason
    assert "+0.0 points on 200 stored questions" in choice.reason
    assert choice.note.startswith("--weights auto chose w8a8 because")


@pytest.mark.parametrize(
    ("timings", "stored"),
    [
        ([*FAST, *USUAL], samples([1] * 200)),  # never compared
        ([*FAST, *USUAL], [*samples([1] * 200), *samples([1, 0] * 100, " --weights=w8a8")]),
        ([*FAST, *USUAL], [*samples([1] * 5), *samples([1] * 5, " --weights=w8a8")]),
        ([timed(shape(prompt=64))] * 9, EQUAL),  # faster by the roofline, never measured here
        ([timed(shape(prompt=n, weights="w8a8"), 2.0) for n in range(1600, 2400, 40)], EQUAL),
    ],
)
def test_without_both_proofs_the_published_weights_stay(timings, stored):
    assert choose_weights(RECIPE, known(timings, stored)) is None


def test_methods_may_lose_what_the_format_may_not_have_lost():
    choice = choose_weights(RECIPE, known([*FAST, *USUAL], EQUAL))
    lost = next(one for one in choice.options if one.name == "w8a8").difference.low

    recipe = with_weights(RECIPE, choice)

    assert recipe.weights == "w8a8"
    assert -0.1 <= lost < 0
    assert recipe.allowed_loss == pytest.approx(0.1 + lost, abs=1e-4)


def test_the_loader_says_why_it_took_a_format():
    network = tiny_model().network
    assert calibrated_choice(network, 1) is None
    network.weight_format, network.format_seconds = "int4", {"int4": 0.002, "bf16": 0.005}

    one, many = calibrated_choice(network, 1), calibrated_choice(network, 8)

    assert one.chosen == "int4"
    assert "take 2 ms beside 5 ms in bf16, as measured on this machine" in one.reason
    assert (one.usual, many.usual) == (True, False)
    assert "8 sequences" in many.reason


@pytest.mark.parametrize(
    ("recipe", "count"),
    [
        (Recipe(), 1),
        (Recipe(samples=7), 7),
        (Recipe(search="majority-vote(n=12)"), 12),
        (Recipe(search="greedy"), 1),
    ],
)
def test_the_sequences_of_a_run_are_counted(recipe, count):
    assert sequences(recipe) == count
    assert sequences(replace(recipe, max_tokens=3)) == count
