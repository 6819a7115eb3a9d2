"""Names and seeds of samples, derived from all that decides them and from nothing else.

Everything goes through JSON before it is hashed: lists of texts have one encoding, so that no
two different inputs can run together into the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import Any

from forethought.contracts.questions import Question
from forethought.recipes.recipe import Recipe

_LAYOUT = 1
"""Raised when keys are made otherwise, so that old samples are not taken for new ones."""

QUESTION_HASH = "data"
"""Where a sample's provenance holds the hash of the question it answers."""
SERVER = "server"
"""Where it holds the address of the server whose model answered; without one, a model here did."""
SERVED = "served"
"""Where it holds what the server called that model, and its version."""
PRICE = "price"
"""Where it holds what was paid, if a price was stated."""
OF_SERVERS = (SERVER, SERVED, PRICE)


def question_hash(question: Question) -> str:
    """Names a question by all that it holds; changed data change it."""
    parts = {field.name: getattr(question, field.name) for field in fields(question)}
    return _digest(["question", {**parts, "data": dict(question.data)}]).hex()


def sample_key(recipe_json: str, task: str, question: Question, number: int) -> str:
    """Names answer `number` of a recipe (as `Recipe.to_json` writes it) to a question."""
    parts = ["sample", _LAYOUT, recipe_json, task, question_hash(question), number]
    return _digest(parts).hex()


def sample_seed(recipe_json: str, task: str, question_identifier: str, number: int) -> int:
    """The seed of an answer, from 0 to 2**63 - 1; the order of asking does not change it."""
    parts = ["seed", _LAYOUT, recipe_json, task, question_identifier, number]
    return int.from_bytes(_digest(parts)[:8], "big") >> 1


def run_identifier(
    recipe: Recipe, question: str, document: str = "", system: str | None = None
) -> str:
    """Names a run by what went into it: the same recipe and question give the same one."""
    said = () if system is None else (system,)
    parts = "\0".join((recipe.to_json(), question, document, *said))
    return hashlib.sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _digest(parts: list[Any]) -> bytes:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))  # ASCII, lone surrogates too
    return hashlib.sha256(text.encode("ascii")).digest()
