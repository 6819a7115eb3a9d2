"""Keys and seeds of samples, derived from the inputs that determine them alone.

Inputs are hashed as JSON, so that different lists of texts never encode to the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import fields
from functools import lru_cache
from typing import Any

from forethought import catalogue
from forethought.contracts.names import plain_name
from forethought.contracts.questions import Question
from forethought.recipes.recipe import Recipe

_LAYOUT = 1
"""Version of the key's layout; a new layout must not match old samples."""

QUESTION_HASH = "data"
"""Provenance field: hash of the question."""
SERVER = "server"
"""Provenance field: address of the server that answered; absent for local models."""
SERVED = "served"
"""Provenance field: name and version of the model as the server reports them."""
PRICE = "price"
"""Provenance field: the stated price."""
OF_SERVERS = (SERVER, SERVED, PRICE)
REVISIONS = "revisions"
"""Provenance field: the revisions of the recipe's methods; absent if all are first revisions."""
_NAMES = re.compile(r"(?:[+@]\s*|--confidence=)([\w-]+)")
_KINDS: tuple[catalogue.Kind, ...] = ("methods", "strategies", "scorers")


def question_hash(question: Question) -> str:
    """The hash of a question over all of its fields."""
    parts = {field.name: getattr(question, field.name) for field in fields(question)}
    return _digest(["question", {**parts, "data": dict(question.data)}]).hex()


def sample_key(
    recipe_json: str, task: str, question: Question, number: int, revised: str = ""
) -> str:
    """The key of answer `number` of a recipe (`Recipe.to_json`) to a question.

    `revised` is what `revisions` says of the recipe's label.
    """
    parts = ["sample", _LAYOUT, recipe_json, task, question_hash(question), number]
    return _digest([*parts, revised] if revised else parts).hex()


def sample_seed(recipe_json: str, task: str, question_identifier: str, number: int) -> int:
    """The seed of an answer, from 0 to 2**63 - 1, independent of the order of execution."""
    parts = ["seed", _LAYOUT, recipe_json, task, question_identifier, number]
    return int.from_bytes(_digest(parts)[:8], "big") >> 1


def run_identifier(
    recipe: Recipe, question: str, document: str = "", system: str | None = None
) -> str:
    """The identifier of a run; equal recipes and questions have equal identifiers."""
    systems = () if system is None else (system,)
    given = recipe.to_json() + revisions(recipe.spelling)
    parts = "\0".join((given, question, document, *systems))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def priced_identifier(run: str, usd_per_hour: float) -> str:
    """The identifier of a run whose seconds have a price."""
    return _digest(["priced run", run, float(usd_per_hour)]).hex()[:16]


@lru_cache(4096)
def revisions(label: str) -> str:
    """The revised methods of a recipe's label, such as "specpc 2"; empty if there are none.

    A method whose defaults change their meaning gets a class constant `revision`, from 2 on, so
    that stored samples of the earlier meaning no longer match.
    """
    numbers = {name: _revision(plain_name(name.lower())) for name in sorted(_NAMES.findall(label))}
    return ", ".join(f"{name} {number}" for name, number in numbers.items() if number != 1)


def _revision(name: str) -> object:
    for kind in _KINDS:
        if name in (known := catalogue.files(kind)):
            return catalogue.entry(known[name]).constants.get("revision", 1)
    return 1  # a draft, or a method of a package that is not installed


def _digest(parts: list[Any]) -> bytes:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))  # ASCII, lone surrogates too
    return hashlib.sha256(text.encode("ascii")).digest()
