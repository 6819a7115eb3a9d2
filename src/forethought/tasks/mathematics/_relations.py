"""Equations and inequalities: their solved side, their interval and their equality."""

from __future__ import annotations

import re
from dataclasses import dataclass

from forethought.tasks.mathematics._arithmetic import NoValueError, Value, same
from forethought.tasks.mathematics._value import POINTS, value

_SIGN_OR_BRACKET = re.compile(r"[=<>≤≥≠(){}\[\]]")
_MIRRORED = {"=": "=", "≠": "≠", "<": ">", ">": "<", "≤": "≥", "≥": "≤"}
_SUBSCRIPT = re.compile(r"_(?:\{[^{}]*\}|\w)|\^\s*\{\s*-1\s*\}")
_ARGUMENT = re.compile(r"(?<=[A-Za-z}])\s*\([^()]*\)")
_NAME = re.compile(r"(?=[^A-Za-z]*[A-Za-z])[A-Za-z\\{}()|:,'\s]+")
_NUMERIC = re.compile(r"[^A-Za-z]*(?:\\(?:frac|sqrt|pi|binom)[^A-Za-z]*)*")


@dataclass(frozen=True)
class Relation:
    """Sides, with a relation sign between neighbours."""

    sides: tuple[str, ...]
    signs: tuple[str, ...]


def relation(text: str) -> Relation | None:
    """Parse an equation or inequality; None if the text is neither."""
    cuts, signs, depth = [0], [], 0
    for found in _SIGN_OR_BRACKET.finditer(text):
        depth += (found[0] in "([{") - (found[0] in ")]}")
        if depth == 0 and found[0] in _MIRRORED:
            cuts += [found.start(), found.end()]
            signs.append(found[0])
    cuts.append(len(text))
    sides = tuple(text[a:b].strip() for a, b in zip(cuts[::2], cuts[1::2], strict=True))
    return Relation(sides, tuple(signs)) if signs and all(sides) else None


def worth(text: str) -> str:
    """The value that a text states.

    For an equation of a name or of numbers it is the last side. For an inequality of one name
    it is the interval. Otherwise it is the text.
    """
    found = relation(text)
    if found is None:
        return text
    if set(found.signs) == {"="}:
        first, last = found.sides[0], found.sides[-1]
        numeric = _NUMERIC.fullmatch(first) and _NUMERIC.fullmatch(last)
        return last if _is_name(first) or numeric else text
    return _interval(found) or text


def alike(one: Relation, other: Relation) -> bool:
    """Whether two relations are equal up to a factor of left minus right.

    A negative factor reverses an inequality. Chains of equations count by their ends.
    """
    first, second = _ends(one), _ends(other)
    if first is None or second is None:
        return False
    try:
        ratios = [_gap(first, point) / _gap(second, point) for point in range(POINTS)]
        turned = complex(ratios[0]).real < 0
    except (NoValueError, ArithmeticError):
        return False
    if ratios[0] == 0 or not all(same(ratios[0], ratio) for ratio in ratios):
        return False
    sign = second.signs[0]
    return first.signs[0] == (_MIRRORED[sign] if turned else sign)


def clash(one: Relation, other: Relation) -> bool:
    """Whether the relations name disjoint variables."""
    letters = [
        {side for side in of.sides if len(side) == 1 and side.isalpha()} for of in (one, other)
    ]
    return all(letters) and letters[0].isdisjoint(letters[1])


def _ends(found: Relation) -> Relation | None:
    if len(found.signs) == 1:
        return found
    if set(found.signs) != {"="}:
        return None
    return Relation((found.sides[0], found.sides[-1]), ("=",))


def _gap(of: Relation, point: int) -> Value:
    return value(of.sides[0], point) - value(of.sides[1], point)


def _interval(found: Relation) -> str:
    """The interval of one name, bounded on one or both sides; empty for other relations."""
    if len(found.signs) == 2 and _is_name(found.sides[1]):
        low, high = found.signs
        if {low, high} <= {">", "≥"}:
            low, high = _MIRRORED[high], _MIRRORED[low]
            return _between(found.sides[2], low, high, found.sides[0])
        return _between(found.sides[0], low, high, found.sides[2])
    if len(found.signs) == 1 and _is_name(found.sides[0]):
        return _half_line(found.signs[0], found.sides[1])
    if len(found.signs) == 1 and _is_name(found.sides[1]):
        return _half_line(_MIRRORED[found.signs[0]], found.sides[0])
    return ""


def _between(low: str, above: str, below: str, high: str) -> str:
    if not {above, below} <= {"<", "≤"}:
        return ""
    opening, closing = "(" if above == "<" else "[", ")" if below == "<" else "]"
    return f"{opening}{low},{high}{closing}"


def _half_line(sign: str, number: str) -> str:
    if sign in ("<", "≤"):
        return _between(r"-\infty", "<", sign, number)
    return _between(number, _MIRRORED[sign], "<", r"\infty") if sign in (">", "≥") else ""


def _is_name(text: str) -> bool:
    bare = _ARGUMENT.sub("", _SUBSCRIPT.sub("", text))
    return _NAME.fullmatch(bare) is not None and r"\infty" not in text
