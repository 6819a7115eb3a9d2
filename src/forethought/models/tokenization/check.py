"""Checks a tokenizer.json before the tokenizers library parses it.

The library trusts the file: a huge token id or padding length exhausts the memory and kills the
process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.checkpoint.claims import Claims
from forethought.models.tokenization.steps import check_steps

MOST_BYTES = 1 << 27
"""Bytes of a tokenizer.json; the largest published ones have a quarter of it."""
_MOST_TOKEN = 1 << 20  # largest token id, unless the vocabulary itself is larger
_LONGEST_TOKEN = 1 << 13
_HINT = "fetch the model again, or use another"


def check_tokenizer(values: Mapping[str, Any], where: str) -> None:
    """Raise DamagedFileError or UnsupportedModelError for content that would harm the library."""
    claims = Claims(values, where, _HINT)
    _check_tokens(claims)
    _check_merges(claims.inner("model"))
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        check_steps(claims, part)


def _check_tokens(claims: Claims) -> None:
    model = claims.inner("model")
    if model.number("dropout", 0.0):
        raise UnsupportedModelError(
            f"{claims.where} states merge dropout", "use a tokenizer without dropout"
        )
    added = claims.parts("added_tokens")
    pieces = _pieces(model)
    most = max(_MOST_TOKEN, 4 * (len(pieces.stated) + len(added)))
    for piece in pieces.stated:
        pieces.count(piece, least=0, most=most)
        if len(piece) > _LONGEST_TOKEN:
            raise claims.wrong("model", piece, f"tokens of at most {_LONGEST_TOKEN:,} characters")
    for entry in added:
        entry.count("id", least=0, most=most)
        entry.text("content", longest=_LONGEST_TOKEN)


def _check_merges(model: Claims) -> None:
    """Raise DamagedFileError for merges whose second part lacks the continuation prefix.

    The library cuts the prefix's bytes off without a check, and aborts inside a multi-byte
    character.
    """
    mark = model.text("continuing_subword_prefix", "")
    for merge in model.items("merges", ()) if mark else ():
        second = merge.partition(" ")[2] if isinstance(merge, str) else merge
        second = second[-1] if isinstance(second, list) and second else second
        if not isinstance(second, str) or not second.startswith(mark):
            raise model.wrong("merges", merge, f"pairs whose second begins with {mark!r}")


def _pieces(model: Claims) -> Claims:
    """The vocabulary: ids by token."""
    stated = model.stated.get("vocab")
    if not isinstance(stated, list):
        return model.inner("vocab")
    numbered = {}
    for number, entry in enumerate(stated):
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], str):
            raise model.wrong("vocab", entry, "pairs of a text and a number")
        numbered[entry[0]] = number
    return Claims(numbered, model.where, model.hint)
