"""Draft what followed the longest earlier match of the newest tokens, in the prompt or the answer.

Paper: prompt lookup decoding, Apoorv Saxena 2023 (github.com/apoorvumang/prompt-lookup-decoding)
Published: ours (general name); Code: the first match of the newest 3, 2 or 1 tokens. Here: the
    longest match of at least 2 tokens, and of equally long ones the newest.
Exact: at every setting; the target verifies each drafted token, so no answer changes.
Cost: a dictionary of the text; each decode pass has further rows, as long as these pay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.drafts import NO_DRAFT, DraftSource, DraftTree, TokenDrafter
from forethought.contracts.parameters import Count
from forethought.contracts.roles import Drafter

_LONGEST = 32
"""Matches count as equal from this length on."""
_TRIED = 64
"""The newest places of a match that are compared."""


@dataclass(frozen=True)
class PromptLookup(Drafter):
    """Copies from the text so far."""

    tokens: Count = 10
    """Most tokens of a draft."""
    match: Count = 2
    """Fewest newest tokens that must match."""

    def drafter(self, source: DraftSource) -> TokenDrafter:
        """The lookup in the text of one sequence."""
        return _TextLookup(source.prompt, source.ends, self.tokens, self.match)


class _TextLookup(TokenDrafter):
    """The text of one sequence, and the places of its runs of `match` tokens."""

    def __init__(
        self, prompt: Sequence[int], ends: frozenset[int], tokens: int, match: int
    ) -> None:
        self._text, self._start = list(prompt), len(prompt)
        self._ends, self._tokens, self._match = ends, tokens, match
        self._places: dict[tuple[int, ...], list[int]] = defaultdict(list)
        """By the tokens before them, the places of tokens, ascending."""
        self._indexed = match

    def draft(self, tokens: Sequence[int], most: int) -> DraftTree:
        """The tokens behind the longest match."""
        self._text += tokens[len(self._text) - self._start :]
        self._index()
        place = self._longest_match()
        if place is None:
            return NO_DRAFT
        return DraftTree.chain(self._from(place, min(most, self._tokens)))

    def _index(self) -> None:
        """Note the tokens before each place that holds a token."""
        text, match = self._text, self._match
        for place in range(self._indexed, len(text)):
            self._places[tuple(text[place - match : place])].append(place)
        self._indexed = max(self._indexed, len(text))

    def _longest_match(self) -> int | None:
        """The place behind the longest match of the newest tokens."""
        found, longest = None, 0
        if len(self._text) < self._match:
            return None
        key = tuple(self._text[len(self._text) - self._match :])
        for place in reversed(self._places.get(key, [])[-_TRIED:]):
            length = self._common(place)
            if length > longest:
                found, longest = place, length
            if length == _LONGEST:
                break
        return found

    def _common(self, place: int) -> int:
        """How many tokens before a place equal the newest ones."""
        text, end, length = self._text, len(self._text), self._match
        most = min(_LONGEST, place)
        while length < most and text[place - length - 1] == text[end - length - 1]:
            length += 1
        return min(length, _LONGEST)

    def _from(self, place: int, count: int) -> list[int]:
        """The tokens from a place on, up to an end token; a text that repeats itself goes on."""
        drafted: list[int] = []
        period = len(self._text) - place
        for at in range(count):
            drafted.append(self._text[place + at] if at < period else drafted[at - period])
            if drafted[-1] in self._ends:
                break
        return drafted
