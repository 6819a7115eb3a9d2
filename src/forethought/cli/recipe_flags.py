"""One flag for each field of `Recipe`: its name, type, default and help.

`Recipe` is the only list of its fields, and checks their limits when a recipe is made. Importing
it brings `dataclasses` and parsing it brings `ast`; either would slow down every `--help`. So this
module splits the source of the class at its docstrings. A test compares flags and fields.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from forethought.cli.grammar import Option

_SOURCE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "recipes", "recipe.py")
_SHORT = {"model": "-m", "draft": "-d", "approximate": "-x", "search": "-s"}
_AMONG = {
    "model": "models",
    "draft": "models",
    "approximate": "methods",
    "search": "strategies",
    "scorer": "scorers",
    "confidence": "scorers",
}
"""Which names complete a value."""
_TAKES = {"str": "str", "tuple": "str", "int": "int", "float": "float", "bool": ""}
_CONSTANTS = {"()": (), "None": None, "False": False, "True": True}


@cache
def recipe_flags() -> tuple[Option[Any], ...]:
    """The flags, in the order of the fields."""
    with open(_SOURCE, encoding="utf-8") as file:
        body = file.read().partition("\nclass Recipe:\n")[2].partition("\n    def ")[0]
    _, _, *parts = body.split('"""')  # the docstring of the class, then each field and its own
    return tuple(map(_flag, parts[::2], parts[1::2]))


def _flag(declared: str, docstring: str) -> Option[Any]:
    name, _, rest = declared.strip().partition(": ")
    kind, _, default = rest.partition(" = ")
    plain = kind.partition(" ")[0].partition("[")[0]
    short = [_SHORT[name]] if name in _SHORT else []
    return Option(
        ("--" + name.replace("_", "-"), *short),
        " ".join(docstring.split()),
        _value(default),
        takes=_TAKES[plain],
        repeats=plain == "tuple",
        among=_AMONG.get(name, ""),
        in_recipe=True,
    )


def _value(literal: str) -> Any:
    if literal in _CONSTANTS:
        return _CONSTANTS[literal]
    if literal.startswith('"'):
        return literal.strip('"')
    return float(literal) if "." in literal else int(literal)
