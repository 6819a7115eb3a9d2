"""Runs of tiny models over a document, for tests of whole runs."""

from __future__ import annotations

import itertools

from forethought import catalogue
from forethought.runs.recipe import Recipe
from forethought.runs.session import Session
from tests.tiny_model import tiny_model

DOCUMENT = "\n\n".join(
    f"Paragraph {n}: the code of locker {n} is {n * 37 % 101}." for n in range(9)
)
QUESTION = "What is the code of locker 4?"

TARGET = tiny_model("target", seed=1)
DRAFTS = {
    "self": TARGET,
    "same-tokens": tiny_model("small", seed=2, num_hidden_layers=2),
    "other-tokens": tiny_model("foreign", seed=3, merges=60),
}
APPROXIMATIONS = [*catalogue.entries()]


def session(draft="self", **settings):
    recipe = Recipe(**{"model": "target", "draft": draft, "max_tokens": 12, **settings})
    methods = tuple((name, catalogue.build(name)) for name in recipe.approximate)
    return Session(recipe, methods, TARGET, DRAFTS[draft], clock=itertools.count().__next__)


def run(draft="self", *, document=DOCUMENT, **settings):
    *_, done = session(draft, **settings).stream(QUESTION, document)
    return done.data["run"]


def events(**settings):
    return list(session(**settings).stream(QUESTION, DOCUMENT))


def at_full_budget(name):
    settings = "prompt_keep=1.0, keep=1.0" if name == "speckv-pc" else "keep=1.0"
    return f"{name}({settings})"
