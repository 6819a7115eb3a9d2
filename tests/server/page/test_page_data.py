"""The page's data: controls that agree with the parameter types, prompts, recipes, comparisons."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Literal

import pytest

from forethought import catalogue
from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import Count, Keep, OddCount, Range, Share
from forethought.contracts.records import Prompt
from forethought.recipes.recipe import Recipe
from forethought.server.page_data import (
    catalogue_document,
    comparisons_document,
    control,
    prompt_document,
    recipe_document,
)
from tests.server.page import recordings
from tests.server.page.replaying_server import stored_samples

DOCUMENT = catalogue_document()
TIED = ("quantised-kv", "cascade", "temperature-vote")
"""Entries whose settings limit each other beyond their types."""
ENTRIES = [(kind, entry) for kind, entries in DOCUMENT.items() for entry in entries]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Count, {"kind": "whole", "low": 1, "high": 1 << 20, "step": 1, "optional": False}),
        (OddCount, {"kind": "whole", "low": 1, "high": 1 << 20, "step": 2, "optional": False}),
        (Share, {"kind": "number", "low": 0, "high": 1, "optional": False}),
        (Share | None, {"kind": "number", "low": 0, "high": 1, "optional": True}),
        (
            Annotated[float, Range(0, 10)],
            {"kind": "number", "low": 0, "high": 10, "optional": False},
        ),
        (Keep, {"kind": "keep", "optional": False}),
        (Literal["max", "mean"], {"kind": "choice", "options": ["max", "mean"], "optional": False}),
        (bool, {"kind": "switch", "optional": False}),
        (str | None, {"kind": "text", "optional": True}),
    ],
)
def test_a_control_has_the_limits_of_its_type(hint: object, expected: dict[str, object]) -> None:
    assert control(hint) == expected


def test_the_catalogue_has_every_entry_and_is_json() -> None:
    for kind, entries in DOCUMENT.items():
        assert {one["name"] for one in entries} == set(catalogue.entries(kind))
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


@pytest.mark.parametrize(("kind", "entry"), ENTRIES, ids=[entry["name"] for _, entry in ENTRIES])
def test_limits_of_controls_are_those_that_recipes_enforce(kind: str, entry: dict) -> None:
    needed = {one["name"]: "x" for one in entry["parameters"] if not one["default"]}
    for parameter in entry["parameters"]:
        shown = parameter["control"]
        for value in _within(shown) if entry["name"] not in TIED else []:
            build(kind, entry["name"], {**needed, parameter["name"]: value})
        for value in _beyond(shown):
            with pytest.raises(BadParameterError):
                build(kind, entry["name"], {**needed, parameter["name"]: value})


def build(kind: str, name: str, settings: dict[str, str]) -> object:
    inner = ", ".join(f"{key}={value}" for key, value in settings.items())
    return catalogue.build(f"{name}({inner})", kind)


def _within(shown: dict) -> list[str]:
    match shown["kind"]:
        case "whole" | "number":
            ends = [str(shown["low"])] if "low" in shown else []
            return [*ends, *(["none"] if shown["optional"] else [])]
        case "choice":
            return [f"'{option}'" for option in shown["options"]]
        case "switch":
            return ["true", "false"]
        case "keep":
            return ["1", "0.5", "1.0", "8MiB"]
    return []


def _beyond(shown: dict) -> list[str]:
    match shown["kind"]:
        case "whole" | "number" if "low" in shown:
            step = 1 if shown["kind"] == "whole" else 0.5
            return [str(shown["low"] - step), str(shown["high"] + step)]
        case "choice":
            return ["nowhere"]
        case "keep":
            return ["0", "1.5"]
    return []


def test_the_texts_of_a_prompt_join_to_the_prompt() -> None:
    prompt = recordings.prompt("specpc")

    document = prompt_document(prompt)

    assert "".join(document["tokens"]) == prompt.text
    assert len(document["tokens"]) == len(prompt)


def test_tokens_that_share_a_character_show_it_once() -> None:
    prompt = Prompt(tokens=(1, 2, 3, 4), spans=((0, 1), (1, 2), (1, 2), (2, 3)), text="a🔦b")

    assert prompt_document(prompt)["tokens"] == ["a", "🔦", "", "b"]


@pytest.mark.parametrize(
    "spelled",
    [
        "smollm2",
        "smollm2+specpc(keep=256)",
        "smollm2+draft('a+b')+specpc(keep=0.25)+int8-kv@particle-filter(n=6, delimiter='\\n')"
        "@likelihood",
        "smollm2@adaptive(enough=none)",
    ],
)
def test_a_recipe_in_the_form_spells_the_same_recipe(spelled: str) -> None:
    text = spelled.replace("+int8-kv", "")
    form = recipe_document(text, {"max_tokens": 9}, 3)

    def call(one: dict) -> str:
        inner = ", ".join(f"{key}={value}" for key, value in one["settings"].items())
        return f"{one['name']}({inner})" if inner else one["name"]

    again = Recipe(
        model=form["model"],
        draft=form["draft"],
        approximate=tuple(map(call, form["approximate"])),
        search=call(form["search"]) if form["search"] else "",
        scorer=call(form["scorer"]) if form["scorer"] else "",
    )
    assert again == Recipe.parse(text)
    assert (form["settings"], form["seed"]) == ({"max_tokens": 9}, 3)


def test_comparisons_have_the_scores_of_the_samples_and_their_frontier() -> None:
    (found,) = comparisons_document(stored_samples())

    assert found["task"] == "needle(count=4)"
    assert found["questions"] == 4
    points = {one["name"]: one for one in found["points"]}
    assert {name: one["score"]["value"] for name, one in points.items()} == {
        "exact": 0.75,
        "specpc(keep=256)": 0.75,
        "snapkv(keep=0.25)": 0.5,
    }
    # specpc is as good as the exact run and cheaper on each axis.
    assert "flops" in points["specpc(keep=256)"]["frontier"]
    assert "flops" not in points["exact"]["frontier"]
    specpc = points["specpc(keep=256)"]["form"]
    assert specpc["approximate"] == [{"name": "specpc", "settings": {"keep": "256"}}]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for axis in found["axes"]:
        assert axis["chart"].count('class="point"') == 3


def test_each_task_has_a_comparison_of_its_own() -> None:
    samples = stored_samples()
    other = [replace(one, task="other", key=f"o-{one.key}") for one in samples[:4]]

    found = comparisons_document([*samples, *other])

    assert [(one["task"], len(one["points"])) for one in found] == [
        ("needle(count=4)", 3),
        ("other", 1),
    ]
    assert comparisons_document([]) == []
