"""Drafts that are wrong in every way: no answer changes, and no cache outlives its run."""

from __future__ import annotations

import gc
import itertools
import random
from dataclasses import dataclass

import pytest

from forethought.contracts.drafts import ROOT, DraftTree, TokenDrafter
from forethought.contracts.roles import Drafter
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET

KINDS = ("random", "ends", "long", "none", "beyond", "bushy")
FOREIGN = DRAFTS["other-tokens"].tokenizer


@dataclass(frozen=True)
class Hostile(Drafter):
    """Drafts by a kind of error; every other draft begins with the right tokens."""

    kind: str = "random"
    right: tuple[int, ...] = ()

    def drafter(self, source):
        """A drafter of this kind."""
        return HostileDrafter(self.kind, self.right, min(source.ends))


class HostileDrafter(TokenDrafter):
    """Wrong tokens, in place of the draft or behind some right ones."""

    def __init__(self, kind, right, end):
        self.kind, self.right, self.end, self.calls = kind, list(right), end, 0
        self.rng = random.Random(kind)

    def draft(self, tokens, most):
        self.calls += 1
        right = self.right[len(tokens) : len(tokens) + 3] if self.calls % 2 else []
        return getattr(self, self.kind)(right, most)

    def some(self, count):
        return [self.rng.randrange(TARGET.tokenizer.vocabulary_size) for _ in range(count)]

    def random(self, right, most):
        return DraftTree.chain([*right, *self.some(9)][:most])

    def ends(self, right, most):
        """End tokens first, between and last."""
        return DraftTree.chain([*right, self.end, *self.some(1), self.end, self.end])

    def long(self, right, most):
        """More tokens than there is room for."""
        return DraftTree.chain([*right, *self.some(most + 40)])

    def none(self, right, most):
        return DraftTree()

    def beyond(self, right, most):
        """Tokens of another vocabulary, and numbers of none."""
        foreign = FOREIGN.encode("the code of locker 4 is")
        return DraftTree.chain([*right, *foreign, TARGET.network.shape.vocabulary, -1, 10**9])

    def bushy(self, right, most):
        """Equal siblings, and a branch behind each of them."""
        first = [*right, 5][0]
        return DraftTree((first, first, *self.some(6)), (ROOT, ROOT, 0, 1, 1, ROOT, 2, 2))


def run(methods, **settings):
    """A run, and the caches that are left behind it."""
    named = tuple(name for name, _ in methods)
    recipe = Recipe(**{"model": "target", "max_tokens": 20, "approximate": named, **settings})
    session = Session(recipe, methods, TARGET, TARGET, clock=itertools.count().__next__)
    *_, done = session.stream(QUESTION, DOCUMENT)
    return done.data["run"]


def caches():
    """The bytes of all caches that are alive."""
    gc.collect()
    return sum(
        one.tail.bytes() + sum(view.segment.bytes() for view in one.views)
        for one in gc.get_objects()
        if isinstance(one, SequenceCache)
    )


def shown(found):
    """What a run tells of its answers."""
    texts = [(one["text"], one["finish"], one["tokens"]) for one in found["candidates"]]
    return found["answer"], found["finish"], texts, found["cost"]["output_tokens"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "settings", [{}, {"samples": 3, "temperature": 0.8, "seed": 2}, {"stop": ("\x17",)}]
)
def test_hostile_drafts_change_no_answer_and_leave_no_cache(kind, settings):
    plain = run((), **settings)
    right = TARGET.tokenizer.encode(run(())["answer"])
    before = caches()

    found = run((("prompt-lookup", Hostile(kind, tuple(right))),), **settings)

    assert shown(found) == shown(plain)
    assert caches() == before
    assert found["cost"]["decode_passes"] > 0
    assert (found["cost"].get("verified_tokens", 0) > 0) == (kind != "none")
