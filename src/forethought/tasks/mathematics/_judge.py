r"""Whether two final answers in LaTeX say the same.

Numbers and expressions are compared by value; tuples and intervals in order, with their
brackets; lists, sets and unions in any order; equations up to a factor; matrices entry by entry.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from forethought.tasks.mathematics._plain import UNION, plain, without_text
from forethought.tasks.mathematics._value import POINTS, NoValueError, Value, same, value

_MATRIX = re.compile(
    r"\\begin\{[a-z]*(?:matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end\{[a-z]+\}", re.DOTALL
)
_LONGEST = 2000
_OPENING, _CLOSING = "([{", ")]}"


def equal(reference: str, answer: str) -> bool:
    """Whether the answer says what the reference says."""
    return len(answer) <= _LONGEST and _equal(plain(reference), plain(answer))


def _equal(reference: str, answer: str) -> bool:
    if _words(reference) == _words(answer):
        return bool(_words(reference))
    return _any_order(_items(reference), _items(answer))


def _any_order(references: Sequence[str], answers: Sequence[str]) -> bool:
    left = list(answers)
    for reference in references:
        found = next((one for one in left if _single(reference, one)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _items(text: str) -> list[str]:
    """The members of a union, set or list, both signs of a plus-minus apart."""
    if _encloses(text, "{", "}"):
        text = text[1:-1]
    unions = _split(text, UNION)
    parts = unions if len(unions) > 1 else _split(text, ",")
    return [signed for part in parts for signed in _signs(part)]


def _signs(text: str) -> list[str]:
    if "±" not in text and "∓" not in text:
        return [text]
    return [text.translate(str.maketrans("±∓", signs)) for signs in ("+-", "-+")]


def _single(reference: str, answer: str) -> bool:
    if _words(reference) == _words(answer):
        return True
    if "=" in reference and "=" in answer:
        return _equations(reference, answer)
    matrices = _matrix(reference), _matrix(answer)
    if matrices[0] or matrices[1]:
        return _grids(matrices[0], matrices[1])
    reference, answer = _right_side(reference), _right_side(answer)
    if _is_tuple(reference) or _is_tuple(answer):
        return _tuples(reference, answer)
    # A word is not the product of its letters.
    if re.fullmatch(r"[A-Za-z ]{3,}", without_text(reference)):
        return _words(reference) == _words(answer)
    return _expressions(reference, answer)


def _right_side(text: str) -> str:
    """What a name is said to be, as in x = 5; the text itself where no name stands before."""
    named = re.fullmatch(r"[A-Za-z](?:\([a-z]\)|_\w)?=([^=]*)", re.sub(r"\s+", "", text))
    return named[1] if named else text


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
    found = _MATRIX.fullmatch(text)
    rows = re.split(r"\\\\(?:\[\w+\])?", found[1].strip()) if found else []
    return [[cell.strip() for cell in row.split("&")] for row in rows if row.strip()]


def _grids(reference: list[list[str]], answer: list[list[str]]) -> bool:
    return len(reference) == len(answer) and all(map(_each, reference, answer))


def _equations(reference: str, answer: str) -> bool:
    """Whether left minus right of one is everywhere the same multiple of the other's."""
    try:
        ratios = [_gap(reference, point) / _gap(answer, point) for point in range(POINTS)]
    except (NoValueError, ZeroDivisionError):
        return False
    return ratios[0] != 0 and all(same(ratios[0], ratio) for ratio in ratios)


def _gap(equation: str, point: int) -> Value:
    left, _, right = equation.partition("=")
    return value(left, point) - value(right, point)


def _expressions(reference: str, answer: str) -> bool:
    """Whether both are worth the same; a percentage also as the share that it is."""
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


def _words(text: str) -> str:
    bare = re.sub(r"\s+", "", without_text(text))
    lettered = re.fullmatch(r"\(([A-Za-z])\)", bare)
    bare = lettered[1] if lettered else bare
    return bare.casefold() if bare.isalpha() else bare


def _split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand outside all brackets, of whatever kind."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if sign == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]


def _encloses(text: str, opening: str, closing: str) -> bool:
    """Whether the first sign of the text is `opening`, closed only by the last one."""
    if len(text) < 2 or text[0] != opening or text[-1] != closing:
        return False
    depth = 0
    for sign in text[:-1]:
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if depth == 0:
            return False
    return True
