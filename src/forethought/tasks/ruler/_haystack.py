"""Haystacks: endless sentences, each with its trailing space."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from random import Random

from forethought.contracts.errors import BadDataError
from forethought.tasks.files import content_of
from forethought.tasks.ruler._grammar import PATTERNS

Units = Callable[[int], list[str]]
"""The first n pieces of a text; a greater n extends a smaller one."""

_NAME_ONE = "give noise, prose, or the path of a text file in UTF-8"
NOISE = (
    "The lake is calm. ",
    "The road is long. ",
    "The bread is warm. ",
    "The clouds drift by. ",
    "We go out and we come home again. ",
)


def units(haystack: str, random: Random) -> Units:
    """Sentences of a haystack: `noise`, `prose`, or the text of a file, repeated."""
    if haystack == "noise":
        return growing(cycle(NOISE))
    if haystack == "prose":
        return growing(prose(random))
    return growing(cycle(sentences_of_file(haystack)))


def growing(source: Iterator[str]) -> Units:
    """Cache the pieces of `source` as they are drawn."""
    drawn: list[str] = []

    def first(count: int) -> list[str]:
        drawn.extend(islice(source, max(0, count - len(drawn))))
        return drawn[:count]

    return first


def prose(random: Random) -> Iterator[str]:
    """Generated sentences in paragraphs of three to seven."""
    while True:
        last = random.randint(3, 7)
        for number in range(1, last + 1):
            yield sentence(random) + ("\n\n" if number == last else " ")


def sentence(random: Random) -> str:
    """One generated sentence."""
    text = articled(_expanded("{sentence}", random))
    return text[0].upper() + text[1:]


def articled(text: str) -> str:
    """Replace `a` by `an` before a vowel."""
    return re.sub(r"\b([Aa])(?= [aeiou])", r"\1n", text)


def _expanded(pattern: str, random: Random) -> str:
    return re.sub(
        r"\{(\w+)\}", lambda found: _expanded(random.choice(PATTERNS[found[1]]), random), pattern
    )


def sentences_of_file(path: str) -> list[str]:
    """The sentences of a text file; BadDataError if it has none."""
    try:
        text = content_of(path, _NAME_ONE, f"the haystack {path!r}").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDataError(f"the haystack {path!r} is not UTF-8: {error}", _NAME_ONE) from error
    text = text.replace("\r\n", "\n")
    if not text.strip():
        raise BadDataError(f"the haystack {path!r} is empty", "give a file with some text")
    pieces = re.findall(r".+?(?:[.!?]['\")\]]*\s+|\n\s*\n|\Z)", text.strip() + "\n\n", re.DOTALL)
    return [piece for piece in pieces if piece.strip()]
