"""Words, sentences, paragraphs and bullets of an answer."""

from __future__ import annotations

import re
import unicodedata

_BETWEEN_WORDS = re.compile(r"[\s/\u2013\u2014\u2026]+")  # spaces, slashes, dashes, ellipses
_LETTERS = re.compile(r"[^\W_]+")
_CHINESE_END = re.compile("([\u3002\uff01\uff1f]+[\u201d\u2019\u300d\u300f\uff09]*)")
_BULLET = re.compile(r"[-*+\u2022]\s+\S")
_FENCE = re.compile(r"`{3,}|~{3,}")
_ABBREVIATIONS = frozenset(("mr", "mrs", "ms", "dr", "prof", "vs", "e.g", "i.e", "approx"))
OPENING = "\"'\u201c\u2018([*_"
CLOSING = "\"'\u201d\u2019)]*_\u300d\u300f\uff09"
_ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f")


def plain(answer: str) -> str:
    """The answer in NFC without surrounding spaces, and without a code fence around all of it."""
    text = unicodedata.normalize("NFC", answer).strip()
    lines = text.splitlines()
    fence = _FENCE.match(text)
    if fence and len(lines) > 1 and lines[-1].strip() == fence[0]:
        lines = lines[1:-1]
    return "\n".join(line.rstrip() for line in lines).strip()


def is_empty(text: str) -> bool:
    """Whether a text has neither letters nor digits."""
    return not any(map(str.isalnum, text))


def words(text: str) -> list[str]:
    """The parts between spaces, slashes and dashes that have a letter or a digit."""
    return [one for one in _BETWEEN_WORDS.split(text) if not is_empty(one)]


def vocabulary(text: str) -> frozenset[str]:
    """The runs of letters and digits of a text, without case."""
    return frozenset(_LETTERS.findall(text.casefold()))


def paragraphs(text: str) -> list[str]:
    """The blocks between blank lines that have a letter or a digit."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            blocks[-1].append(line)
        else:
            blocks.append([])
    found = ["\n".join(lines) for lines in blocks]
    return [one for one in found if not is_empty(one)]


def sentences(text: str) -> int:
    """The number of sentences; the end of a paragraph ends a sentence."""
    return sum(map(_sentences, paragraphs(text)))


def bullets(text: str) -> list[str]:
    """The lines that begin with a bullet (-, *, + or •) and a space."""
    return [line for line in map(str.strip, text.splitlines()) if _BULLET.match(line)]


def _sentences(block: str) -> int:
    count, begun = 0, False
    for line in block.splitlines():
        # Chinese needs no space between sentences.
        for place, word in enumerate(_CHINESE_END.sub(r"\1 ", line).split()):
            begun = begun or not is_empty(word)
            if begun and _ends_sentence(word, begins_line=not place):
                count, begun = count + 1, False
    return count + begun


def _ends_sentence(word: str, *, begins_line: bool) -> bool:
    """Whether a word ends a sentence; abbreviations and numbers of list items do not."""
    bare = word.rstrip(CLOSING)
    before = bare.removesuffix(".").lstrip(OPENING).casefold()
    is_number = begins_line and before.isdecimal()
    return bare.endswith(_ENDS) and not (
        bare.endswith(".") and (before in _ABBREVIATIONS or is_number)
    )
