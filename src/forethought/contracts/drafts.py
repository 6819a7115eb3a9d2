"""Drafted tokens of an answer: a tree of them, and what proposes it for one sequence."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

Made = TypeVar("Made")

ROOT = -1
"""The place of the newest token of the text, which a tree continues."""


@dataclass(frozen=True)
class DraftTree:
    """Drafted tokens; each one follows another of them, or the newest token of the text."""

    tokens: tuple[int, ...] = ()
    parents: tuple[int, ...] = ()
    """By token, the place of the token before it: a lower place, or `ROOT`."""

    @classmethod
    def chain(cls, tokens: Sequence[int]) -> DraftTree:
        """Tokens that follow each other."""
        return cls(tuple(tokens), tuple(range(ROOT, len(tokens) - 1)))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def is_chain(self) -> bool:
        """Whether each token follows the one before it."""
        return self.parents == tuple(range(ROOT, len(self) - 1))

    @cached_property
    def paths(self) -> tuple[tuple[int, ...], ...]:
        """By token, its ancestors and itself, as places, the oldest first."""
        found: list[tuple[int, ...]] = []
        for place, parent in enumerate(self.parents):
            found.append((place,) if parent == ROOT else (*found[parent], place))
        return tuple(found)

    def child(self, place: int, token: int) -> int | None:
        """The place of a token that follows the one at `place`; None if it is not drafted."""
        both = zip(self.tokens, self.parents, strict=True)
        return next((i for i, one in enumerate(both) if one == (token, place)), None)

    def first(self, count: int) -> DraftTree:
        """The tree of the first `count` tokens."""
        return self if count >= len(self) else DraftTree(self.tokens[:count], self.parents[:count])

    @property
    def trunk(self) -> DraftTree:
        """The first tokens, as long as each one follows the one before it."""
        breaks = (i for i, parent in enumerate(self.parents) if parent != i - 1)
        return self.first(next(breaks, len(self)))

    def within(self, vocabulary: int) -> DraftTree:
        """The tree up to its first token that is none of the vocabulary."""
        bad = (i for i, token in enumerate(self.tokens) if not 0 <= token < vocabulary)
        return self.first(next(bad, len(self)))


NO_DRAFT = DraftTree()
"""Nothing to verify."""


class TokenDrafter(Protocol):
    """Drafts the next tokens of one sequence; a wrong draft costs time and changes no token."""

    @property
    def decodes(self) -> bool:
        """Whether a model decodes each drafted token, so that none is drafted in vain."""
        return False

    def draft(self, tokens: Sequence[int], most: int) -> DraftTree:
        """At most `most` tokens that may follow the answer's tokens so far.

        Later calls have the same tokens and some more.
        """
        ...

    def close(self, tokens: Sequence[int]) -> None:
        """Follow the end of the answer; nothing is drafted any more."""
        return None


class DraftWriter(Protocol):
    """A model that continues the text of one sequence."""

    def write(self, tokens: Sequence[int], most: int, least_chance: float) -> list[int]:
        """At most `most` tokens of the target that may follow the answer's tokens so far.

        The last of them may be less likely than `least_chance`, the others are not.
        """
        ...


class DraftSource(Protocol):
    """What the drafts of one sequence may use."""

    @property
    def prompt(self) -> Sequence[int]:
        """The tokens of the whole prompt, also where the target reads a part of them."""
        ...

    @property
    def ends(self) -> frozenset[int]:
        """The end tokens of the answer."""
        ...

    @property
    def predicted(self) -> Sequence[int]:
        """The tokens of the answer that the client expects; empty if it states none."""
        ...

    @property
    def lookahead(self) -> Sequence[int]:
        """The tokens that a draft wrote behind the prompt to score it; empty before the prefill."""
        ...

    def writer(self, layers: int | None = None) -> DraftWriter:
        """The draft model; with `layers`, the target's first layers."""
        ...

    def shared(self, what: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` made first under this key; all sequences of a tenant share it."""
        ...
