"""Flags are the fields of `Recipe`, read from its source without importing it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from typing import Any, get_args, get_type_hints

import pytest

from forethought.cli.grammar import parse
from forethought.cli.main import VERBS
from forethought.cli.recipe_flags import recipe_flags
from forethought.cli.recipes import described, described_alone
from forethought.cli.verbs import table
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.recipes.recipe import Recipe

FIELDS = dataclasses.fields(Recipe)
FLAGS = {flag.name: flag for flag in recipe_flags()}
TAKES = {str: "str", int: "int", float: "float", bool: "", tuple: "str"}


def docstrings() -> dict[str, str]:
    """What stands below each field, as Python's own parser finds it."""
    (tree,) = ast.parse(inspect.getsource(Recipe)).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(ast.Constant(str(text))):
                found[name] = " ".join(text.split())
    return found


def kind(name: str) -> Any:
    hint = get_type_hints(Recipe)[name]
    return next((one for one in get_args(hint) if one is float), getattr(hint, "__origin__", hint))


def test_every_field_is_a_flag_and_every_flag_a_field() -> None:
    assert [flag.name for flag in recipe_flags()] == [field.name for field in FIELDS]
    assert all(flag.spellings[0] == "--" + n.replace("_", "-") for n, flag in FLAGS.items())
    assert all(flag.in_recipe for flag in recipe_flags())


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_flag_has_the_type_default_and_docstring_of_its_field(
    field: dataclasses.Field[Any],
) -> None:
    flag = FLAGS[field.name]

    assert repr(flag.default) == repr(field.default)  # 1 and 1.0 differ
    assert flag.takes == TAKES[kind(field.name)]
    assert flag.repeats == (kind(field.name) is tuple)
    assert flag.help == docstrings()[field.name]


def test_ask_takes_every_field_and_other_verbs_some() -> None:
    taken = {name: {one.name for one in table(name).options if one.in_recipe} for name in VERBS}

    assert taken["ask"] == FLAGS.keys()
    assert taken["list"] == set()
    assert "samples" not in taken["compare"]  # its --samples counts answers to each question
    assert taken["compare"] == taken["evaluate"] > taken["tune"] == {"model", "draft"}


def recipe(verb: str, *words: str) -> Recipe:
    given = parse(table(verb), words)
    assert given is not None
    return (described if verb == "ask" else described_alone)(given)


VALUES = {"weights": "bf16", "budget": "500tok", "search": "majority-vote", "draft": "m"}
BESIDE = {
    "scorer": ["--search", "best-of-n"],
    "abstain_below": ["--confidence", "agreement"],
}


@pytest.mark.parametrize("name", FLAGS)
def test_every_flag_sets_its_field(name: str) -> None:
    flag = FLAGS[name]
    usual: dict[str, Any] = {"str": "snapkv" if flag.repeats else "m", "int": 5, "float": 0.5}
    value = VALUES.get(name, usual.get(flag.takes, True))
    value = {"scorer": "likelihood", "confidence": "agreement"}.get(name, value)
    words = [flag.spellings[0], *([str(value)] if flag.takes else [])]

    found = recipe("ask", *words, *BESIDE.get(name, []))

    assert getattr(found, name) == ((value,) if flag.repeats else value)
    assert getattr(found, name) != getattr(Recipe(), name)


def test_a_line_without_flags_is_the_default_recipe() -> None:
    assert recipe("ask") == recipe("compare") == recipe("compress") == Recipe()


def test_flags_add_to_the_recipe_that_the_model_names() -> None:
    found = recipe("ask", "-m", "m+draft(d)+snapkv@majority-vote", "-x", "h2o", "--seed", "3")

    assert found == Recipe(
        model="m",
        draft="d",
        approximate=("snapkv", "h2o"),
        search="majority-vote",
        seed=3,
    )
    assert recipe("ask", "-m", "m+draft(d)", "-d", "self").draft == "self"
    assert recipe("ask", "-m", "m+draft(d)", "-d", "").draft == "d"


def test_a_search_may_name_its_scorer() -> None:
    line = ["ask", "-s", "best-of-n@likelihood"]

    assert recipe(*line).scorer == "likelihood"
    assert recipe(*line, "--scorer", "self-judge").scorer == "self-judge"
    assert recipe("ask", "-m", "m@best-of-n@likelihood", "-s", "dvts").scorer == "likelihood"
    with pytest.raises(UsageError, match="names no strategy"):
        recipe("ask", "-s", " ")


def test_the_limits_are_those_of_a_recipe() -> None:
    with pytest.raises(BadParameterError, match=r"--top-p 2\.0 must be 0 to 1"):
        recipe("ask", "--top-p", "2")
    with pytest.raises(UsageError, match="--model names the search majority-vote"):
        recipe("compare", "-m", "m@majority-vote")
