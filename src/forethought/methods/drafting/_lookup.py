"""Drafts that copy what followed the newest tokens elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from forethought.contracts.drafts import NO_DRAFT, DraftTree, TokenDrafter

_LONGEST = 32
"""Matches count as equal from this length on."""
_TRIED = 64
"""The newest places of a match that are compared."""


class RunIndex:
    """A text, and the places behind each run of `match` tokens."""

    def __init__(self, match: int) -> None:
        self.text: list[int] = []
        self._match = match
        self._places: dict[tuple[int, ...], list[int]] = defaultdict(list)
        self._indexed = match

    def extend(self, tokens: Sequence[int]) -> None:
        """Append tokens to the text."""
        self.text += tokens
        text, match = self.text, self._match
        for place in range(self._indexed, len(text)):
            self._places[tuple(text[place - match : place])].append(place)
        self._indexed = max(self._indexed, len(text))

    def find(self, ending: Sequence[int]) -> int | None:
        """The place of the token behind the longest match of an ending; the newest of equals."""
        found, longest = None, 0
        key = tuple(ending[-self._match :])
        for place in reversed(self._places.get(key, [])[-_TRIED:]):
            length = self._common(place, ending)
            if length > longest:
                found, longest = place, length
            if length == _LONGEST:
                break
        return found

    def _common(self, place: int, ending: Sequence[int]) -> int:
        """How many tokens before a place equal the last ones of an ending."""
        most, length = min(_LONGEST, place, len(ending)), 0
        while length < most and self.text[place - length - 1] == ending[-1 - length]:
            length += 1
        return length


def copied(text: Sequence[int], place: int, count: int, ends: frozenset[int]) -> DraftTree:
    """The tokens of a text from a place on, up to an end token."""
    found = list(text[place : place + count])
    stop = next((at + 1 for at, token in enumerate(found) if token in ends), len(found))
    return DraftTree.chain(found[:stop])


class TextLookup(TokenDrafter):
    """Copies from a prompt and the answer to it."""

    def __init__(
        self, prompt: Sequence[int], ends: frozenset[int], tokens: int, match: int
    ) -> None:
        self._prompt, self._ends, self._tokens = prompt, ends, tokens
        self._index = RunIndex(match)

    def draft(self, tokens: Sequence[int], most: int) -> DraftTree:
        """The tokens behind the longest match of the newest ones."""
        index = self._index
        if not index.text:
            index.extend(self._prompt)
        index.extend(tokens[len(index.text) - len(self._prompt) :])
        place, count = index.find(index.text), min(most, self._tokens)
        if place is None:
            return NO_DRAFT
        # A text that repeats itself goes on repeating itself.
        period = index.text[place:]
        return copied(period * (count // len(period) + 1), 0, count, self._ends)


class PredictedLookup(TokenDrafter):
    """Copies from a predicted answer."""

    def __init__(
        self, predicted: Sequence[int], ends: frozenset[int], tokens: int, match: int
    ) -> None:
        self._ends, self._tokens, self._match = ends, tokens, match
        self._index = RunIndex(match)
        self._index.extend(predicted)

    def draft(self, tokens: Sequence[int], most: int) -> DraftTree:
        """The predicted tokens behind the longest match of the newest ones."""
        text, count = self._index.text, min(most, self._tokens)
        if len(tokens) < self._match:
            begins = list(tokens) == text[: len(tokens)]
            return copied(text, len(tokens), count, self._ends) if begins else NO_DRAFT
        place = self._index.find(tokens[-_LONGEST:])
        return NO_DRAFT if place is None else copied(text, place, count, self._ends)
