"""The droppable text of a prompt in chunks and words of a token classifier."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.records import Prompt
from forethought.methods.prompt_compression._room import PromptRoom
from forethought.numerics.late_imports import np

if TYPE_CHECKING:
    from forethought.models.encoders.token_classifier import Pieces, TokenClassifier


@dataclass(frozen=True)
class Chunk:
    """Classifier tokens that the classifier reads together."""

    tokens: tuple[int, ...]
    words: tuple[int, ...]
    """The word of each token, counted from 0 in the chunk."""
    texts: tuple[str, ...]
    """The words themselves."""
    stops: tuple[int, ...]
    """The end of each word in the prompt's text."""


def chunks_of(
    prompt: Prompt, room: PromptRoom, classifier: TokenClassifier, longest: int
) -> list[Chunk]:
    """The droppable text in chunks of at most `longest` tokens, in order."""
    found: list[Chunk] = []
    for first, last in room.runs():
        start, stop = prompt.spans[first][0], prompt.spans[last][1]
        pieces = classifier.pieces(prompt.text[start:stop])
        for part in _cuts(prompt.text[start:stop], pieces, longest):
            found.append(_chunk(prompt.text, pieces, part, start))
    return found


def _cuts(text: str, pieces: Pieces, longest: int) -> Iterator[slice]:
    """Cut at the last full stop or line break within `longest` tokens, or else between words."""
    count, start = len(pieces.tokens), 0
    nexts = [*(a for a, _ in pieces.spans[1:]), len(text)]
    closing = [
        n + 1
        for n, ((a, b), after) in enumerate(zip(pieces.spans, nexts, strict=True))
        if text[a:b].endswith(".") or "\n" in text[b:after]
    ]
    between = [n for n in range(1, count) if pieces.words[n] != pieces.words[n - 1]]
    while start < count:
        stop = min(start + longest, count)
        if stop < count:
            stop = _last_within(closing, start, stop) or _last_within(between, start, stop) or stop
        yield slice(start, stop)
        start = stop


def _last_within(cuts: Sequence[int], start: int, stop: int) -> int | None:
    """The last of ascending `cuts` after `start` and up to `stop`."""
    place = bisect_right(cuts, stop)
    return cuts[place - 1] if place and cuts[place - 1] > start else None


def _chunk(text: str, pieces: Pieces, part: slice, shift: int) -> Chunk:
    spans = [(a + shift, b + shift) for a, b in pieces.spans[part]]
    numbers = np.array(pieces.words[part])
    words = numbers - numbers[0]
    firsts = np.flatnonzero(np.diff(words, prepend=-1))
    lasts = [*(firsts[1:] - 1), len(words) - 1]
    stops = tuple(spans[last][1] for last in lasts)
    texts = tuple(text[spans[first][0] : stop] for first, stop in zip(firsts, stops, strict=True))
    return Chunk(pieces.tokens[part], tuple(words.tolist()), texts, stops)


def tokens_by_word(
    prompt: Prompt, room: PromptRoom, chunks: Sequence[Chunk]
) -> list[list[list[int]]]:
    """By chunk and word, the droppable tokens whose last character is in the word.

    Text between two words belongs to the later one, text after all words to the last.
    """
    held: list[list[list[int]]] = [[[] for _ in chunk.stops] for chunk in chunks]
    places = [(n, word) for n, chunk in enumerate(chunks) for word in range(len(chunk.stops))]
    stops = np.array([stop for chunk in chunks for stop in chunk.stops])
    if not places:
        return held
    ends = [_last_character(prompt, token) for token in room.free]
    for token, place in zip(room.free, np.searchsorted(stops, ends, side="right"), strict=True):
        chunk, word = places[min(int(place), len(places) - 1)]
        held[chunk][word].append(token)
    return held


def _last_character(prompt: Prompt, token: int) -> int:
    """The place of the last character of a token's text without white space."""
    start, stop = prompt.spans[token]
    part = prompt.text[start:stop].rstrip()
    return (start + len(part) if part else stop) - 1
