"""Bounds the number and the output size of a tokenizer.json's text transformations.

Each step may lengthen a text, so a few dozen can make it grow without limit.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.checkpoint.claims import Claims

_MOST_STEPS = 256
_MOST_PATTERNS = 16  # each may run for a tenth of a second before the regex engine stops
_MOST_GROWTH = 256  # published tokenizers reach 64
_LONGEST_TEXT = 1 << 13
_LONGEST_PATTERN = 1 << 14
_LONGEST_TABLE = 1 << 26
_CHARSMAP_SLACK = 4  # published tables map 3 bytes to up to 33


def check_steps(claims: Claims, part: str) -> None:
    """Raise UnsupportedModelError for too many steps, or too much growth of texts.

    Raises DamagedFileError for impossible settings.
    """
    growth, patterns = 1.0, 0
    for count, step in enumerate(_steps(claims.inner(part))):
        kind = step.text("type", "none")
        growth *= _GROWTH[kind](step) if kind in _GROWTH else 1.0
        patterns += _has_pattern(step)
        if count >= _MOST_STEPS or growth > _MOST_GROWTH or patterns > _MOST_PATTERNS:
            raise UnsupportedModelError(
                f"{claims.where}: the {part} has more than {_MOST_STEPS} steps or "
                f"{_MOST_PATTERNS} patterns, or makes texts over {_MOST_GROWTH} times as long",
                claims.hint,
            )


def _steps(step: Claims) -> Iterator[Claims]:
    """A step with all nested steps; the JSON parser bounds the nesting."""
    yield step
    for key, value in step.stated.items():
        inner = value if isinstance(value, list) else []
        for one in (one for one in inner if isinstance(one, dict)):
            yield from _steps(Claims(one, f"{step.where}, {key}", step.hint))


def _has_pattern(step: Claims) -> bool:
    pattern = step.stated.get("pattern")
    if not isinstance(pattern, dict):
        return False
    return bool(step.inner("pattern").text("Regex", "", longest=_LONGEST_PATTERN))


def _replaced(step: Claims) -> float:
    pattern = step.inner("pattern")
    plain = pattern.text("String", "", longest=_LONGEST_TEXT)
    content = len(step.text("content", "", longest=_LONGEST_TEXT))
    if plain:
        return max(1.0, content / len(plain))
    if not pattern.text("Regex", "", longest=_LONGEST_PATTERN):
        raise step.wrong("pattern", plain, "a text to replace")
    return 1.0 + content  # an empty match may occur at every character


def _longest_mapping(step: Claims) -> float:
    """Growth by the longest replacement of a table; replacements are stored back to back."""
    stated = step.text("precompiled_charsmap", longest=_LONGEST_TABLE)
    try:
        table = base64.b64decode(stated, validate=True)
    except ValueError as error:
        raise step.wrong("precompiled_charsmap", stated, "base64") from error
    start = 4 + int.from_bytes(table[:4], "little")  # after the index, whose size comes first
    if start > len(table):
        raise step.wrong("precompiled_charsmap", stated, "a whole table")
    return max(1.0, max(map(len, table[start:].split(b"\0"))) / _CHARSMAP_SLACK)


def _prepended(step: Claims) -> float:
    return 1.0 + len(step.text("prepend", "", longest=_LONGEST_TEXT))


def _stripped(step: Claims) -> float:
    for key in ("start", "stop"):
        step.count(key, 0, least=0, most=_LONGEST_TEXT)
    return 1.0


def _cut(step: Claims) -> float:
    step.count("length")
    return 1.0


def _spaced(step: Claims, mark: str) -> float:
    """Growth by replacing a mark with a space; an empty mark matches between all characters."""
    return 1.0 if step.text(mark, "", longest=_LONGEST_TEXT) else 2.0


def _framed(step: Claims) -> float:
    """Growth by a post-processing template: its tokens, each of which may be several ids."""
    known = step.inner("special_tokens")
    numbers = [len(known.inner(token).items("ids")) for token in known.stated]
    return float(max(1, len(step.items("single")) * max([1, *numbers])))


_GROWTH: dict[str, Callable[[Claims], float]] = {
    "BertNormalizer": lambda step: 3.0,  # adds white space around characters
    "ByteLevel": lambda step: 2.0,  # half of all bytes become two bytes
    "BPEDecoder": lambda step: _spaced(step, "suffix"),
    "CTC": lambda step: _spaced(step, "word_delimiter_token"),
    "FixedLength": _cut,
    "Metaspace": lambda step: 2.0,  # a mark before every piece
    "NFKC": lambda step: 2.0,
    "NFKD": lambda step: 2.0,
    "Precompiled": _longest_mapping,
    "Prepend": _prepended,
    "Replace": _replaced,
    "Strip": _stripped,
    "TemplateProcessing": _framed,
    "WordPiece": lambda step: 2.0,  # a space before every piece
}
"""Factor by which each kind of step may lengthen a text; 1 for all others."""
