"""What an expression of whole numbers, + - * / and parentheses comes to."""

from __future__ import annotations

from fractions import Fraction

_MOST = 64  # words; no question needs more, and a deep nest must not exhaust the stack

Words = tuple[str, ...]
Part = tuple[Fraction, Words]
"""What the first words come to, and the words behind them."""


def value(said: Words) -> Fraction | None:
    """Its exact value; None where it is no expression or divides by 0."""
    if len(said) > _MOST:
        return None
    try:
        found, rest = _sum(said)
    except (ValueError, ZeroDivisionError):
        return None
    return None if rest else found


def _sum(said: Words) -> Part:
    found, rest = _product(said)
    while rest[:1] in (("+",), ("-",)):
        other, behind = _product(rest[1:])
        found, rest = (found + other if rest[0] == "+" else found - other), behind
    return found, rest


def _product(said: Words) -> Part:
    found, rest = _atom(said)
    while rest[:1] in (("*",), ("/",)):
        other, behind = _atom(rest[1:])
        found, rest = (found * other if rest[0] == "*" else found / other), behind
    return found, rest


def _atom(said: Words) -> Part:
    if said[:1] != ("(",):
        return Fraction(int("".join(said[:1]))), said[1:]
    found, rest = _sum(said[1:])
    if rest[:1] != (")",):
        raise ValueError("a parenthesis is not closed")
    return found, rest[1:]
