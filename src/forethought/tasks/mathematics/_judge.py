r"""Equality of two final answers in LaTeX.

Numbers and expressions are compared by value. Tuples and intervals are ordered and keep their
brackets; lists, sets and unions are unordered. Equations and inequalities are equal up to a
factor, and an inequality also equals its interval. Matrices are compared entry by entry. A decimal
of six places or more equals the number it was rounded from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from forethought.tasks.mathematics._arithmetic import NoValueError, same, size
from forethought.tasks.mathematics._plain import UNION, plain, readings, without_text
from forethought.tasks.mathematics._relations import alike, clash, relation, worth
from forethought.tasks.mathematics._value import POINTS, value

_MATRIX = re.compile(
    r"\\begin\{[a-z]*(?:matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{[a-z]+\}", re.DOTALL
)
_ROW_END = re.compile(r"\\\\(?:\[\w+\])?")
_APART = re.compile(r"(?<=\d)\s+(?=\d)")
_SPACE = re.compile(r"\s+")
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_WORD = re.compile(r"[A-Za-z ]{3,}|no", re.IGNORECASE)
_TEXT = re.compile(r"\\text\s*\{[^{}]*\}")
_DECIMAL = re.compile(r"-?\d*\.(\d{6,})")
_LONGEST = 2000
_OPENING, _CLOSING = "([{", ")]}"


def equal(reference: str, answer: str) -> bool:
    """Whether the answer equals the reference."""
    if max(len(reference), len(answer)) > _LONGEST:
        return bool(answer.strip()) and _words(reference) == _words(answer)
    given = readings(plain(answer))
    return any(_equal(wanted, one) for wanted in readings(plain(reference)) for one in given)


def _equal(reference: str, answer: str) -> bool:
    if _words(reference) == _words(answer):
        return bool(_words(reference))
    return _any_order(_items(reference), _items(answer))


def _any_order(references: Sequence[str], answers: Sequence[str]) -> bool:
    left = list(answers)
    if len(left) != len(references):
        return False
    for reference in references:
        found = next((n for n, one in enumerate(left) if _single(reference, one)), None)
        if found is None:
            return False
        del left[found]
    return True


def _items(text: str) -> list[str]:
    """The members of a union, set or list; a plus-minus gives two members."""
    if _encloses(text, "{", "}"):
        text = text[1:-1]
    unions = _split(text, UNION)
    parts = unions if len(unions) > 1 else _split(text, ",")
    return [signed for part in parts if part for signed in _signs(part)]


def _signs(text: str) -> list[str]:
    if "±" not in text and "∓" not in text:
        return [text]
    return [text.translate(str.maketrans("±∓", signs)) for signs in ("+-", "-+")]


def _single(reference: str, answer: str) -> bool:
    if _words(reference) == _words(answer):
        return bool(_words(reference))
    wanted, given = relation(reference), relation(answer)
    if wanted and given and (clash(wanted, given) or alike(wanted, given)):
        return not clash(wanted, given)
    return _objects(worth(reference), worth(answer))


def _objects(reference: str, answer: str) -> bool:
    if _words(reference) == _words(answer):
        return True
    matrices = _matrix(reference), _matrix(answer)
    if matrices[0] or matrices[1]:
        return _grids(matrices[0], matrices[1])
    if _is_tuple(reference) or _is_tuple(answer):
        return _tuples(reference, answer)
    # Do not read a word as the product of its letters.
    if _TEXT.fullmatch(reference) or _WORD.fullmatch(without_text(reference)):
        return False
    return _expressions(reference, answer) or _rounded(reference, answer)


def _tuples(reference: str, answer: str) -> bool:
    if not (_is_tuple(reference) and _is_tuple(answer)):
        return False
    parts = _split(reference[1:-1], ","), _split(answer[1:-1], ",")
    brackets_agree = (reference[0], reference[-1]) == (answer[0], answer[-1])
    return brackets_agree and _each(parts[0], parts[1])


def _is_tuple(text: str) -> bool:
    return (
        text[:1] in ("(", "[")
        and text[-1:] in (")", "]")
        and _encloses(text, text[0], text[-1])
        and len(_split(text[1:-1], ",")) > 1
    )


def _each(references: Sequence[str], answers: Sequence[str]) -> bool:
    return len(references) == len(answers) and all(map(_single, references, answers))


def _matrix(text: str) -> list[list[str]]:
    bare = text.strip("()[] ") if r"\begin" in text else text
    found = _MATRIX.fullmatch(bare)
    rows = _ROW_END.split(found[1].strip()) if found else []
    return [[cell.strip() for cell in row.split("&")] for row in rows if row.strip()]


def _grids(reference: list[list[str]], answer: list[list[str]]) -> bool:
    return len(reference) == len(answer) and all(map(_each, reference, answer))


def _expressions(reference: str, answer: str) -> bool:
    """Whether both have equal values; a percentage also equals its fraction."""
    try:
        values = [
            (value(reference.rstrip("%"), point), value(answer.rstrip("%"), point))
            for point in range(POINTS)
        ]
    except NoValueError:
        return False
    scales = (1,) if reference.endswith("%") == answer.endswith("%") else (1, 100)
    if reference.endswith("%"):
        return any(all(same(one, other * by) for one, other in values) for by in scales)
    return any(all(same(one * by, other) for one, other in values) for by in scales)


def _rounded(reference: str, answer: str) -> bool:
    """Whether one is a long decimal to which the other is rounded or truncated."""
    return _is_truncated(reference, answer) or _is_truncated(answer, reference)


def _is_truncated(decimal: str, exact: str) -> bool:
    found = _DECIMAL.fullmatch(decimal)
    if not found:
        return False
    unit = Fraction(1, 10 ** len(found[1]))
    try:
        short, long = (value(text, 0) for text in (decimal, exact))
        gaps = [size(value(exact, point) - short) for point in range(POINTS)]
        nearer_to_zero = size(short) <= size(long)
    except (NoValueError, OverflowError):
        return False
    return max(gaps) <= unit / 2 or (nearer_to_zero and max(gaps) < unit)


def _words(text: str) -> str:
    # Keep the space between two numerals.
    bare = " ".join(_SPACE.sub("", part) for part in _APART.split(without_text(text)))
    lettered = _LETTER.fullmatch(bare)
    bare = lettered[1] if lettered else bare
    return bare.casefold() if bare.isalpha() else bare


def _split(text: str, separator: str) -> list[str]:
    """Split at separators outside all brackets."""
    cuts, depth = [-1], 0
    for place, sign in enumerate(text):
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if sign == separator and depth == 0:
            cuts.append(place)
    return [text[start + 1 : stop].strip() for start, stop in pairwise([*cuts, len(text)])]


def _encloses(text: str, opening: str, closing: str) -> bool:
    """Whether `opening` at the start is closed only by `closing` at the end."""
    if len(text) < 2 or text[0] != opening or text[-1] != closing:
        return False
    depth = 0
    for sign in text[:-1]:
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth == 0:
            return False
    return True
