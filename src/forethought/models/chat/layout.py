"""Lays out a rendered conversation: placeholders tell the caller's texts from the template's own.

A template is rendered twice, with the texts and with placeholders for them. The second rendering
says which characters the template wrote; only there are control tokens recognised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from forethought.models.tokenization.tokenizer import Span

_PLACEHOLDER = "\ue000{}\ue001"
# JSON may have escaped the placeholder's first and last character.
_FOUND = re.compile(r"(?:\ue000|\\ue000)([0-9]{1,6})(?:\ue001|\\ue001)")
_MOST_STATES = 64
"""Ways of matching the two renderings that are tried at once."""


@dataclass(frozen=True)
class Place:
    """Where a text stands in the rendered conversation."""

    span: Span
    skipped: int | None = 0
    """Leading characters that the template stripped; None if it changed characters inside."""

    def range_of(self, first: int, last: int) -> Span:
        """The place of characters `first` to `last` of the text."""
        start, stop = self.span
        if self.skipped is None:
            return start, start
        shift = start - self.skipped
        low, high = max(start, first + shift), min(stop, last + shift)
        return low, max(low, high)


@dataclass(frozen=True)
class Layout:
    """A rendered conversation."""

    text: str
    trusted: tuple[Span, ...]
    """Ranges that the template wrote."""
    places: dict[int, Place]
    """The first place of each text that is shown, by its number."""

    def until(self, end: int) -> Layout:
        """The conversation up to character `end`."""
        trusted = tuple((a, min(b, end)) for a, b in self.trusted if a < end)
        return Layout(self.text[:end], trusted, self.places)

    def since(self, start: int) -> Layout:
        """The conversation from character `start` on; earlier places are dropped."""
        trusted = tuple((max(0, a - start), b - start) for a, b in self.trusted if b > start)
        places = {
            number: Place((place.span[0] - start, place.span[1] - start), place.skipped)
            for number, place in self.places.items()
            if place.span[0] >= start
        }
        return Layout(self.text[start:], trusted, places)


@dataclass
class Placeholders:
    """The caller's texts, by number."""

    texts: list[str] = field(default_factory=list)
    _quoted: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> str:
        """The placeholder of a further text."""
        self.texts.append(text)
        return _PLACEHOLDER.format(len(self.texts) - 1)

    def add_quoted(self, text: str) -> str:
        """The placeholder of a string inside JSON; equal strings share one."""
        if text not in self._quoted:
            self._quoted[text] = len(self.texts)
            self.texts.append(text)
        return _PLACEHOLDER.format(self._quoted[text])

    def count(self, skeleton: str, number: int) -> int:
        """How often a rendering shows this text."""
        return sum(int(found[1]) == number for found in _FOUND.finditer(skeleton))

    def layout(self, skeleton: str, wanted: str) -> Layout:
        """The skeleton with its placeholders replaced as in the rendering `wanted`.

        If no way of replacing them gives that rendering, as for a template that reads the texts,
        they are replaced unchanged.
        """
        found = self.unchanged(skeleton)
        if found.text == wanted:
            return found
        # Many templates strip contents; a placeholder without spaces does not show it.
        pieces = _Pieces.of(skeleton, len(self.texts))
        forms = pieces.matching(self.texts, wanted)
        return pieces.filled(forms) if forms is not None else found

    def unchanged(self, skeleton: str) -> Layout:
        """The skeleton with its placeholders replaced by the texts."""
        pieces, quoted = _Pieces.of(skeleton, len(self.texts)), set(self._quoted.values())
        return pieces.filled(
            [_quoted(self.texts[n]) if n in quoted else (self.texts[n], 0) for n in pieces.holes]
        )


_Form = tuple[str, int | None]
"""A text as a template may show it, and `Place.skipped`."""


@dataclass(frozen=True)
class _Pieces:
    """A skeleton, cut at its placeholders."""

    literals: tuple[str, ...]
    """The template's own text before, between and after the placeholders."""
    holes: tuple[int, ...]
    """The number of each placeholder."""

    @classmethod
    def of(cls, skeleton: str, count: int) -> _Pieces:
        literals, holes, end = [], [], 0
        for found in _FOUND.finditer(skeleton):
            if int(found[1]) < count:
                literals.append(skeleton[end : found.start()])
                holes.append(int(found[1]))
                end = found.end()
        return cls((*literals, skeleton[end:]), tuple(holes))

    def filled(self, forms: Sequence[_Form]) -> Layout:
        first, *rest = self.literals
        pieces, trusted, end = [first], [(0, len(first))], len(first)
        places: dict[int, Place] = {}
        for number, (text, skipped), literal in zip(self.holes, forms, rest, strict=True):
            start, end = end, end + len(text)
            places.setdefault(number, Place((start, end), skipped))
            trusted.append((end, end + len(literal)))
            pieces += [text, literal]
            end += len(literal)
        return Layout("".join(pieces), tuple(trusted), places)

    def matching(self, texts: Sequence[str], wanted: str) -> list[_Form] | None:
        """Forms of the texts that give this rendering; None if there are none."""
        first, *rest = self.literals
        if not wanted.startswith(first):
            return None
        states: dict[int, _Chain] = {len(first): None}
        for number, literal in zip(self.holes, rest, strict=True):
            reached: dict[int, _Chain] = {}
            for place, chain in states.items():
                for form in _forms(texts[number]):
                    end = place + len(form[0])
                    if wanted.startswith(form[0], place) and wanted.startswith(literal, end):
                        reached.setdefault(end + len(literal), (chain, form))
            states = dict(list(reached.items())[:_MOST_STATES])
        return _unchained(states[len(wanted)]) if len(wanted) in states else None


_Chain = tuple["_Chain", _Form] | None
"""The forms chosen so far, the newest last."""


def _unchained(chain: _Chain) -> list[_Form]:
    forms = []
    while chain is not None:
        chain, form = chain
        forms.append(form)
    return forms[::-1]


def _forms(text: str) -> Iterator[_Form]:
    """The text as templates show it: unchanged, stripped, as JSON or as Python writes it."""
    yield text, 0
    for shown, begun in (
        (text.strip(), text.lstrip()),
        (text.lstrip(), text.lstrip()),
        (text.rstrip(), text),
        (text.strip("\n"), text.lstrip("\n")),
    ):
        yield shown, len(text) - len(begun)
    for quote in (_quoted, _escaped, _printed):
        yield quote(text)
        yield quote(text.strip())


def _quoted(text: str) -> _Form:
    return json.dumps(text, ensure_ascii=False)[1:-1], None


def _escaped(text: str) -> _Form:
    return json.dumps(text)[1:-1], None


def _printed(text: str) -> _Form:
    return repr(text)[1:-1], None
