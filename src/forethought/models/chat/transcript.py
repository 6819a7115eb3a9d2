"""Tokenizes finished conversations, with the positions that a reward model is read at."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.chat.template import render_chat
from forethought.models.tokenization.tokenizer import Span, Tokenizer

_JOINT = "\n\n"
_STAND_IN = "\ue000{}\ue001"


@dataclass(frozen=True)
class TextMarker:
    """Text whose tokens are located; it may be a control token."""

    text: str


Message = tuple[str, Sequence[str | TextMarker]]
"""A role, and the parts of its content."""


@dataclass(frozen=True)
class Transcript:
    """The tokens of a conversation, up to its end."""

    tokens: tuple[int, ...]
    marks: tuple[tuple[int, int], ...]
    """First and last token of each marker, in order."""


@dataclass(frozen=True)
class ScoredTokens:
    """Tokens, and the positions at which a reward model's scores are read."""

    tokens: tuple[int, ...]
    places: tuple[int, ...]
    """Token positions, ascending."""


def transcript(tokenizer: Tokenizer, template: str, messages: Sequence[Message]) -> Transcript:
    """Tokenize a conversation; control tokens in contents are plain text, except in markers.

    Without a template, messages are joined with empty lines. Raises UnsupportedModelError if the
    template does not show every message unchanged.
    """
    parts = [part for _, content in messages for part in content]
    text, spans = _filled(_skeleton(tokenizer, template, messages), parts)
    ours = [
        span for span, part in zip(spans, parts, strict=True) if not isinstance(part, TextMarker)
    ]
    bare = [span for span, part in zip(spans, parts, strict=True) if isinstance(part, TextMarker)]
    tokens, places = tokenizer.encode_with_spans(text, _outside(ours, len(text)))
    if not template and tokenizer.add_bos and tokenizer.bos is not None:
        tokens, places = [tokenizer.bos, *tokens], [(0, 0), *places]
    return Transcript(tuple(tokens), tuple(_covering(places, span) for span in bare))


def _skeleton(tokenizer: Tokenizer, template: str, messages: Sequence[Message]) -> str:
    """The rendered conversation with numbered placeholders for its parts."""
    stood: list[tuple[str, str]] = []
    count = 0
    for role, content in messages:
        numbers = range(count, count + len(content))
        stood.append((role, "".join(map(_STAND_IN.format, numbers))))
        count += len(content)
    if not template:
        return _JOINT.join(content for _, content in stood)
    names = {"bos": tokenizer.text_of(tokenizer.bos), "eos": tokenizer.text_of(tokenizer.end)}
    skeleton = render_chat(template, stood, names, asks=False)
    if re.findall("\ue000([0-9]+)\ue001", skeleton) != [str(number) for number in range(count)]:
        raise UnsupportedModelError(
            "the model's chat template does not show every message once and in order",
            "use another reward model, or another style",
        )
    return skeleton


def _filled(skeleton: str, parts: Sequence[str | TextMarker]) -> tuple[str, list[Span]]:
    """The skeleton with its placeholders replaced by the parts, and the range of each part."""
    first, *between = re.split("\ue000[0-9]+\ue001", skeleton)
    pieces, spans, end = [first], [], len(first)
    for part, piece in zip(parts, between, strict=True):
        fresh = part.text if isinstance(part, TextMarker) else part
        spans.append((end, end + len(fresh)))
        pieces += [fresh, piece]
        end += len(fresh) + len(piece)
    return "".join(pieces), spans


def _outside(spans: Sequence[Span], length: int) -> list[Span]:
    """The ranges between these ranges, in order."""
    ends = [0, *(stop for _, stop in spans)]
    starts = [*(start for start, _ in spans), length]
    return [(end, start) for end, start in zip(ends, starts, strict=True) if end < start]


def _covering(places: Sequence[Span], span: Span) -> tuple[int, int]:
    """The first and last token that overlap a character range."""
    first = bisect_right(places, span[0], key=_stop)
    last = bisect_left(places, span[1], key=_start) - 1
    if first > last:
        raise UnsupportedModelError(
            "the reward model's tokenizer has no token for its score marker",
            "set another tag, or use another reward model",
        )
    return first, last


def _start(span: Span) -> int:
    return span[0]


def _stop(span: Span) -> int:
    return span[1]
