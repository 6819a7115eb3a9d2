"""A guess that one method had written is nothing that another one scores by or keeps."""

from __future__ import annotations

import itertools
import math

import pytest

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.methods.kv_eviction.h2o import H2O
from forethought.methods.sparse_prefill.vertical_slash import VerticalSlash
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
from tests.sessions.tiny_session import (
    DOCUMENT,
    DRAFTS,
    QUESTION,
    TARGET,
    below_full_budget,
    runnable,
)


class Guessing(VerticalSlash):
    """Has a guess written, and thins nothing."""

    def on_attention(self, view):
        return None


THIN = VerticalSlash(columns=40, window=64, lookahead=6)
GUESS = Guessing(columns=40, window=64, lookahead=6)


def one_layer_at_a_time():
    """Methods that drop entries while the prompt is read, and draft nothing."""
    for name in runnable():
        method = catalogue.build(below_full_budget(name))
        if method.evicts() and not method.uses_draft() and not method.sees_whole_cache():
            yield name, method


def answered(*methods):
    recipe = Recipe(model="target", draft="small", max_tokens=12)
    named = tuple((str(place), method) for place, method in enumerate(methods))
    clock = itertools.count().__next__
    *_, done = Session(recipe, named, TARGET, DRAFTS["same-tokens"], clock=clock).stream(
        QUESTION, DOCUMENT
    )
    return done.data["run"]


EVICTING = dict(one_layer_at_a_time())
BOUNDED = [name for name, method in EVICTING.items() if method.entries_beyond(2) < math.inf]


def test_there_are_such_methods():
    assert {"streaming-llm", "snapkv", "ada-snapkv", "pyramidkv", "h2o", "knorm"} <= set(EVICTING)


@pytest.mark.parametrize("name", EVICTING)
def test_an_eviction_keeps_and_answers_as_without_the_guess(name):
    alone, beside = answered(EVICTING[name]), answered(EVICTING[name], GUESS)
    assert beside["answer"] == alone["answer"]
    for run in (alone, beside) if name not in BOUNDED else ():
        del run["kept"]["cache_bytes"]  # a layer that stays whole has room for the guess
    assert beside["kept"] == alone["kept"]
    assert beside["cost"]["scoring_tokens"] == 6
    assert beside["cost"]["draft_tokens"] > 0


@pytest.mark.parametrize(
    "name", [name for name, method in EVICTING.items() if not method.entries_beyond(2)]
)
def test_an_eviction_behind_a_thinned_reading_keeps_no_more_than_alone(name):
    alone, thinned = answered(EVICTING[name]), answered(EVICTING[name], THIN)
    assert thinned["kept"]["cache_bytes"] == alone["kept"]["cache_bytes"]


def test_what_goes_on_dropping_entries_does_not_stand_beside_a_guess():
    with pytest.raises(UsageError, match="evicts during decode by the newest queries"):
        answered(H2O(keep=120, every=16), THIN)
