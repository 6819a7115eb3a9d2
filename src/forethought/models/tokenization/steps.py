"""The steps of a tokenizer.json that change texts: how many there are, and what they cost.

Each step may lengthen a text a little, so that a few dozen make it longer without end.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.checkpoint.claims import Claims

_MOST_STEPS = 256
_MOST_PATTERNS = 16  # each may take a tenth of a second before its library gives up
_MOST_GROWTH = 256  # published tokenizers reach 64
_LONGEST_TEXT = 1 << 13
_LONGEST_PATTERN = 1 << 14
_LONGEST_TABLE = 1 << 26
_CHARSMAP_SLACK = 4  # published tables turn 3 bytes into up to 33


def check_steps(claims: Claims, part: str) -> None:
    """Raise UnsupportedModelError where a part has too many steps, or lengthens texts too much.

    Raises DamagedFileError for a step whose settings cannot be.
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
    """A step and all within it; nesting is bounded by the reading of the JSON."""
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
    return 1.0 + content  # it may match nothing, at every character


def _longest_mapping(step: Claims) -> float:
    """The longest text that a table of replacements holds: they are kept one behind the other."""
    stated = step.text("precompiled_charsmap", longest=_LONGEST_TABLE)
    try:
        table = base64.b64decode(stated, validate=True)
    except ValueError as error:
        raise step.wrong("precompiled_charsmap", stated, "base64") from error
    start = 4 + int.from_bytes(table[:4], "little")  # behind an index of so many bytes
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
    """A mark becomes a space; one that is empty stands between all characters."""
    return 1.0 if step.text(mark, "", longest=_LONGEST_TEXT) else 2.0


def _framed(step: Claims) -> float:
    """A frame around texts holds some tokens, each of which may stand for several."""
    known = step.inner("special_tokens")
    numbers = [len(known.inner(token).items("ids")) for token in known.stated]
    return float(max(1, len(step.items("single")) * max([1, *numbers])))


_GROWTH: dict[str, Callable[[Claims], float]] = {
    "BertNormalizer": lambda step: 3.0,  # white space around characters
    "ByteLevel": lambda step: 2.0,  # half of all bytes become two
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
"""How many times longer each kind of step may make a text; of all others once."""
