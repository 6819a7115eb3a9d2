"""Extraction of the final answer from a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_ANNOUNCED = re.compile(r"\banswer\s*(?:is\b|:|=)[\s:*]*", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?!(?<=[A-Za-z])\d+[A-Za-z])"  # not the 2 of H2O
    r"(?:(?<![\w)])[-\u2212])?[$£€]?(?:\d{1,3}(?:(?:,\\!|\{,\}|\\,|,)\d{3})+(?!\d)|\d+)"
    r"(?:(?:\.|\{[.,]\})\d+)?(?:/\d+)?%?|(?:\.|\{\.\})\d+%?"
)
_BRACE = re.compile(r"\\(?:f?boxed|fbox)\s*\{|\\(?:[^\\]|\\(?!f?box))|[{}]", re.DOTALL)
_DELIMITER = re.compile(r"\$\$?|\\.", re.DOTALL)
_CLOSES = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
_MONEY = re.compile(r"\s*\d[\d.,]*\s+[A-Za-z]{2}")
_SENTENCE_END = re.compile(r"[.!?;](?:\s|\*|$)")
_WORD_BEHIND = re.compile(r"(?<=[^\s,])\s+(?!(?:and|or|percent|pct|pi|sqrt)\b)[A-Za-z]{2}")
_BEGINS_IN_MATHEMATICS = re.compile(r"[-+\u2212]?[$£€(\[\\]*[\d.]")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_TWO_LETTERS = re.compile(r"[A-Za-z]{2}")
_TWO_WORDS = re.compile(r"[A-Za-z]{2} +[A-Za-z]")
_PERCENT = re.compile(r"\s*(?:\\?%|percent|pct)")
_LAYOUT = re.compile(r"\\[()\[\]!,;: ]|\\q?quad|[\s$~*]|\\text\s*\{|\}")
_NAME = re.compile(r"[A-Za-z](?:_\w|_\{\w+)?")
_CONNECTIVES = {",", ";", "&", "and", "or", ",and", ",or"}
_FAR = 60
"""Characters between two boxes beyond which they form no list."""


@dataclass(frozen=True)
class _Found:
    """A box or a formula in an answer."""

    start: int
    stop: int
    inner: str
    """Its content, without nested boxes."""


def final(answer: str) -> str:
    """The final answer: last box, else text after ####, else after "answer is", else last number.

    Boxes with nothing but commas, "and" or "or" between them form one list. Empty if none of
    these occurs.
    """
    boxes = _boxes(answer)
    if boxes:
        return _listed(answer, boxes)
    if "####" in answer:
        return answer.rpartition("####")[2].strip().partition("\n")[0].strip()
    announced = list(_ANNOUNCED.finditer(answer))
    stated = _statement(answer[announced[-1].end() :]) if announced else ""
    return stated or _last(answer)


def boxed(answer: str) -> list[str]:
    """The contents of closed \\boxed{...}, outermost boxes only."""
    return [box.inner for box in _boxes(answer)]


def numbers_in(text: str) -> list[str]:
    """The numbers of a text as written, with thousands separators and fractions."""
    return [found[0] for found in _NUMBER.finditer(text)]


def _boxes(answer: str) -> list[_Found]:
    """The closed boxes that lie in no other closed box."""
    opened: list[re.Match[str]] = []
    closed: list[tuple[int, int, int]] = []  # where the command, the inside and the rest begin
    for found in _BRACE.finditer(answer):
        if found[0].endswith("{") and found[0] != r"\{":
            opened.append(found)
        elif found[0] == "}" and opened and (opening := opened.pop())[0] != "{":
            closed.append((opening.start(), opening.end(), found.end()))
    outermost: list[list[tuple[int, int, int]]] = []
    for box in sorted(closed):
        if outermost and box[0] < outermost[-1][0][2]:
            outermost[-1].append(box)
        else:
            outermost.append([box])
    return [_Found(group[0][0], group[0][2], _unwrapped(answer, group)) for group in outermost]


def _unwrapped(answer: str, group: Sequence[tuple[int, int, int]]) -> str:
    """The content of the group's first box, without the frames of nested boxes."""
    frames = [part for start, inside, stop in group for part in ((start, inside), (stop - 1, stop))]
    ordered = sorted(frames)
    return "".join(answer[before[1] : after[0]] for before, after in pairwise(ordered)).strip()


def _listed(answer: str, found: Sequence[_Found]) -> str:
    """The last item, and the items before it that form a list with it."""
    first = len(found) - 1
    while first and _joins(answer[found[first - 1].stop : found[first].start]):
        first -= 1
    return ", ".join(dict.fromkeys(one.inner for one in found[first:]))


def _joins(between: str) -> bool:
    """Whether the text is only a connective, and optionally the name of the next item."""
    if len(between) > _FAR:
        return False
    words = _LAYOUT.sub(" ", between).split()
    if words and words[-1].endswith("="):
        name = "".join(words[-2:] if words[-1] == "=" else words[-1:]).removesuffix("=")
        if not _NAME.fullmatch(name):
            return False
        words = words[: -2 if words[-1] == "=" else -1]
    return "".join(words) in _CONNECTIVES or (not words and "\n" not in between)


def _statement(text: str) -> str:
    """The formula or number at the start of a text, or else the result of its first sentence."""
    line = text.strip().partition("\n")[0]
    formulas = list(_formulas(line))
    if formulas and formulas[0].start == 0:
        return _first_listed(line, formulas)
    sentence = _SENTENCE_END.split(line, maxsplit=1)[0].strip(" *")
    if _BEGINS_IN_MATHEMATICS.match(sentence):
        behind = _WORD_BEHIND.search(sentence)
        return sentence[: behind.start()] if behind else sentence
    return (_last(sentence) or sentence) if _TWO_WORDS.search(sentence) else sentence


def _first_listed(line: str, formulas: Sequence[_Found]) -> str:
    """The first formula, and the formulas after it that form a list with it."""
    last = 0
    while last + 1 < len(formulas) and _joins(line[formulas[last].stop : formulas[last + 1].start]):
        last += 1
    percent = "%" if _PERCENT.match(line, formulas[last].stop) else ""
    return ", ".join(one.inner for one in formulas[: last + 1]) + percent


def _last(text: str) -> str:
    """The last number of a text, with the formula around it; without a number, a formula."""
    formulas = list(_formulas(text))
    numbers = list(_NUMBER.finditer(text))
    if not formulas and "\\" in text and not _TWO_LETTERS.search(_COMMAND.sub("", text)):
        return text.strip()
    if not numbers:
        return formulas[-1].inner if formulas else ""
    around = [one for one in formulas if one.start <= numbers[-1].start() < one.stop]
    return _listed(text, formulas[: formulas.index(around[0]) + 1]) if around else numbers[-1][0]


def _formulas(text: str) -> Iterator[_Found]:
    r"""The formulas in $...$, $$...$$, \(...\) or \[...\], except amounts of money."""
    opened: re.Match[str] | None = None
    for found in _DELIMITER.finditer(text):
        if opened and found[0] == _CLOSES[opened[0]]:
            inner = text[opened.end() : found.start()]
            if found[0] == "$" and (_MONEY.match(inner) or "\n\n" in inner):
                opened = found
                continue
            if inner.strip():
                yield _Found(opened.start(), found.end(), inner.strip())
            opened = None
        elif found[0] in _CLOSES:
            opened = found
