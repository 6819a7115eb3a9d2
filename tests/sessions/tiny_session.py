"""Runs of tiny models over a document, for tests of whole runs."""

from __future__ import annotations

import itertools

from forethought import catalogue
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
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


OWN_FILES = {"cpc", "duo-attention", "embedding", "kvzap", "kvzip-heads", "llmlingua2", "r2c"}
"""Methods that need a model of their own, or a file of scores."""


def runnable():
    """The approximations that run on tiny models alone."""
    known = [name for name in APPROXIMATIONS if name not in OWN_FILES]
    return [name for name in known if not catalogue.build(name).drafts_answers()]


def drafted():
    """The methods that run on tiny models with each draft; without a draft, once."""
    return [
        (name, draft)
        for name in runnable()
        for draft in (DRAFTS if catalogue.build(name).uses_draft() else ["self"])
    ]


_FULL = {
    "griffin": "density=1.0",
    "cats": "density=1.0",
    "sirius": "density=1.0",
    "speckv-pc": "prompt_keep=1.0, keep=1.0",
    "vertical-slash": "columns=100000",
    "minference": "columns=100000",
    "flash-prefill": "alpha=0.0",
    "hyper-attention": "exact=100000",
    "quantised-kv": "bits=16",
    "h2o": "keep=1.0, every=0",
    "tova": "keep=1.0, every=0",
}
_PART = {
    "griffin": "density=0.4",
    "cats": "density=0.4",
    "sirius": "kernel=4, threshold=0.0",
    "specpc": "keep=120, first_layer=1",
    "speckv-pc": "prompt_keep=260, first_layer=1, keep=120",
    "vertical-slash": "columns=40, window=64",
    "minference": "columns=40, slashes=64",
    "hyper-attention": "block=16, sample=16, exact=40",
    "flash-prefill": "alpha=1.0, block=32, sinks=0, window=1, last_rows=8, dense_layers=0",
    "quantised-kv": "bits=4",
    "h2o": "keep=120, every=0",
    "chunkkv": "keep=120, chunk_tokens=1",
    "knorm": "keep=120, whole_layers=1",
    "tova": "keep=120, every=0",
}


def at_full_budget(name):
    """The method at its off value."""
    return f"{name}({_FULL.get(name, 'keep=1.0')})"


def below_full_budget(name):
    """The method where it drops something of the document."""
    return f"{name}({_PART.get(name, 'keep=120')})"
