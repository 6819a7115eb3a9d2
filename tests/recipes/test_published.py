"""Whether a recipe is as published, by its label."""

from __future__ import annotations

import pytest

from forethought.contracts.published import Published
from forethought.recipes.published import published, unprotected
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("smollm2", Published("none")),
        ("smollm2+snapkv", Published("code", ("protect",))),
        ("smollm2+snapkv(keep=256, protect=false) --temperature 0.5", Published("code")),
        ("smollm2+snapkv(keep=256, kernel=7)", Published("code", ("kernel", "protect"))),
        ("smollm2+draft(a/b)+laq(keep=0.25)", Published("paper", ("protect",))),
        ("smollm2+random(keep=256)", Published("baseline", ("protect",))),
        ("smollm2+specpc-fused(protect=false)", Published("ours")),
        ("smollm2+snapkv(protect=false)+laq(protect=false)", Published("ours")),
        ("smollm2@majority-vote(n=32)", Published("paper")),
        ("smollm2@best-of-n(pick=vote)@likelihood", Published("paper", ("pick",))),
        ("smollm2@best-of-n@self-judge", Published("ours")),
        ("smollm2@best-of-n@checker", Published("paper")),
        ("smollm2+no-such-method(keep=3)", Published()),
        ("smollm2@greedy", Published("baseline")),
        ("smollm2+auto", Published()),
    ],
)
def test_a_recipe_is_as_published_as_its_parts(label: str, expected: Published) -> None:
    assert published(label) == expected


def test_a_method_without_protect_keeps_its_spelling() -> None:
    assert unprotected("snapkv(keep=256)") == "snapkv(keep=256, protect=false)"
    assert unprotected("minference") == "minference"


def test_every_recipe_is_followed_by_its_published_form_where_they_differ() -> None:
    names = ["exact", "snapkv(keep=9)+minference", "snapkv(keep=9, protect=false)", "greedy"]

    found = [one.spelling for one in recipe_grid(names, Recipe(), as_published=True)]

    assert found == [
        "smollm2",
        "smollm2+snapkv(keep=9)+minference",
        "smollm2+snapkv(keep=9, protect=false)+minference",
        "smollm2+snapkv(keep=9, protect=false)",
        "smollm2@greedy",
    ]
