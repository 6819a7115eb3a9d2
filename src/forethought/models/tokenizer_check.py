"""Checks a tokenizer.json before the tokenizers library reads it.

The library trusts the file: a token's number or a padded length may ask for more memory than
there is, which ends the process, and steps that replace text by longer text may grow it without
end.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.claims import Claims

MOST_BYTES = 1 << 27
"""Of a tokenizer.json; the largest published ones have a quarter of it."""
_MOST_TOKEN = 1 << 20  # numbers of tokens, or a few times as many as there are
_LONGEST_TOKEN = 1 << 13
_LONGEST_PATTERN = 1 << 14
_MOST_STEPS = 256
_MOST_GROWTH = 64  # how much longer one character may become, over all steps
_CHARSMAP_SLACK = 4  # published tables turn 3 bytes into up to 33
_STEPS = ("normalizer", "pre_tokenizer", "decoder")
_HINT = "fetch the model again, or use another"


def check_tokenizer(values: Mapping[str, Any], where: str) -> None:
    """Raise DamagedFileError or UnsupportedModelError for what the library must not see."""
    claims = Claims(values, where, _HINT)
    _check_tokens(claims)
    for part in _STEPS:
        _check_steps(claims, part)


def _check_tokens(claims: Claims) -> None:
    model = claims.inner("model")
    if model.number("dropout", 0.0):
        raise UnsupportedModelError(
            f"{claims.where} drops merges at random", "use a tokenizer without dropout"
        )
    added = [claims.part(entry) for entry in claims.items("added_tokens", ())]
    pieces = _pieces(model)
    most = max(_MOST_TOKEN, 4 * (len(pieces.stated) + len(added)))
    for piece in pieces.stated:
        pieces.count(piece, least=0, most=most)
        if len(piece) > _LONGEST_TOKEN:
            raise claims.wrong("model", piece, f"tokens of at most {_LONGEST_TOKEN:,} characters")
    for entry in added:
        entry.count("id", least=0, most=most)
        entry.text("content", longest=_LONGEST_TOKEN)


def _pieces(model: Claims) -> Claims:
    """Every piece of the vocabulary and its number."""
    stated = model.stated.get("vocab")
    if not isinstance(stated, list):
        return model.inner("vocab")
    numbered = {}
    for number, entry in enumerate(stated):
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
            raise model.wrong("vocab", entry, "pairs of a text and a number")
        numbered[entry[0]] = number
    return Claims(numbered, model.where, model.hint)


def _check_steps(claims: Claims, part: str) -> None:
    """Bound the number of steps, their patterns, and how much all of them lengthen a text."""
    growth = 1.0
    for count, step in enumerate(_steps(claims.inner(part))):
        growth *= _growth(step)
        if count >= _MOST_STEPS or growth > _MOST_GROWTH:
            raise UnsupportedModelError(
                f"{claims.where}: the steps of its {part} make texts more than "
                f"{_MOST_GROWTH} times as long, or are more than {_MOST_STEPS}",
                "use another model",
            )


def _steps(step: Claims) -> Iterator[Claims]:
    """A step and all within it; nesting is bounded by the reading of the JSON."""
    yield step
    for key, value in step.stated.items():
        inner = value if isinstance(value, list) else []
        for one in (one for one in inner if isinstance(one, dict)):
            yield from _steps(Claims(one, f"{step.where} {key},", step.hint))


def _growth(step: Claims) -> float:
    """How many times longer a step may make a text."""
    kind = step.text("type", "none")
    pattern = step.stated.get("pattern")
    found = Claims(pattern, step.where, step.hint) if isinstance(pattern, dict) else None
    if found is not None:
        found.text("Regex", "", longest=_LONGEST_PATTERN)
    if kind == "FixedLength":
        step.count("length")
    if kind == "Strip" and step.has("start"):
        step.count("start", least=0, most=_LONGEST_TOKEN)
        step.count("stop", 0, least=0, most=_LONGEST_TOKEN)
    if kind == "Precompiled":
        return _longest_mapping(step)
    if kind == "Prepend":
        step.text("prepend", longest=_MOST_GROWTH)
    if kind != "Replace":
        return 1.0
    return _replaced(step, found)


def _replaced(step: Claims, pattern: Claims | None) -> float:
    plain = pattern.text("String", "", longest=_LONGEST_TOKEN) if pattern else ""
    regex = pattern.text("Regex", "", longest=_LONGEST_PATTERN) if pattern else ""
    if not plain and not regex:
        raise step.wrong("pattern", plain, "a text to replace")
    content = len(step.text("content", "", longest=_LONGEST_TOKEN))
    return max(1.0, content / max(1, len(plain)))


def _longest_mapping(step: Claims) -> float:
    """The longest text that a table of replacements holds: they are kept one behind the other."""
    stated = step.text("precompiled_charsmap", longest=MOST_BYTES)
    try:
        table = base64.b64decode(stated, validate=True)
    except (ValueError, binascii.Error) as error:
        raise step.wrong("precompiled_charsmap", stated, "base64") from error
    texts = table[4 + int.from_bytes(table[:4], "little") :]
    return max(1.0, max(map(len, texts.split(b"\0"))) / _CHARSMAP_SLACK)
