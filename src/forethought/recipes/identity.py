"""Keys and seeds of samples, derived from the inputs that determine them alone.

Inputs are hashed as JSON, so that different lists of texts never encode to the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import Any

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


def question_hash(question: Question) -> str:
    """The hash of a question over all of its fields."""
    parts = {field.name: getattr(question, field.name) for field in fields(question)}
    return _digest(["question", {**parts, "data": dict(question.data)}]).hex()


def sample_key(recipe_json: str, task: str, question: Question, number: int) -> str:
    """The key of answer `number` of a recipe (`Recipe.to_json`) to a question."""
    parts = ["sample", _LAYOUT, recipe_json, task, question_hash(question), number]
    return _digest(parts).hex()


def sample_seed(recipe_json: str, task: str, question_identifier: str, number: int) -> int:
    """The seed of an answer, from 0 to 2**63 - 1, independent of the order of execution."""
    parts = ["seed", _LAYOUT, recipe_json, task, question_identifier, number]
    return int.from_bytes(_digest(parts)[:8], "big") >> 1


def run_identifier(
    recipe: Recipe, question: str, document: str = "", system: str | None = None
) -> str:
    """The identifier of a run; equal recipes and questions have equal identifiers."""
    systems = () if system is None else (system,)
    parts = "\0".join((recipe.to_json(), question, document, *systems))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _digest(parts: list[Any]) -> bytes:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))  # ASCII, lone surrogates too
    return hashlib.sha256(text.encode("ascii")).digest()
