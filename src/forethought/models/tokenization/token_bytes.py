"""The bytes of stored tokens, by the kind of the tokenizer's decoder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

_SPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def reader_of(decoder: Mapping[str, Any] | None) -> Callable[[str], bytes]:
    """The function from a stored token to its bytes, for the decoder of a tokenizer.json.

    Byte-level BPE stores each byte as a letter. SentencePiece stores a space as a mark, and a byte
    that is no character as `<0xAB>`. Other decoders store text.
    """
    kinds = {str(one.get("type")) for one in _parts(decoder)}
    if "ByteLevel" in kinds:
        return _byte_level
    if kinds & {"ByteFallback", "Metaspace", "Replace"}:
        return _sentence_piece
    return str.encode


def _parts(decoder: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """The decoder, and those in its sequence."""
    if decoder is not None:
        yield decoder
        for one in decoder.get("decoders", ()):
            yield from _parts(one)


def _byte_level(text: str) -> bytes:
    table = _letters()
    if all(letter in table for letter in text):
        return bytes(table[letter] for letter in text)
    return text.encode()


def _sentence_piece(text: str) -> bytes:
    found = _BYTE.fullmatch(text)
    return bytes([int(found[1], 16)]) if found else text.replace(_SPACE, " ").encode()


@cache
def _letters() -> dict[str, int]:
    """The byte of each letter of GPT-2's alphabet: printable ones are themselves."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + n): byte for n, byte in enumerate(others)
    }
