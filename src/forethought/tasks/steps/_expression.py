"""Evaluation of expressions of whole numbers, + - * / and parentheses."""

from __future__ import annotations

from fractions import Fraction

_MOST = 64  # words; bounds the recursion depth

Words = tuple[str, ...]
Part = tuple[Fraction, Words]
"""The value of the first words, and the remaining words."""


def value(tokens: Words) -> Fraction | None:
    """The exact value; None for an invalid expression or a division by 0."""
    if len(tokens) > _MOST:
        return None
    try:
        found, rest = _sum(tokens)
    except (ValueError, ZeroDivisionError):
        return None
    return None if rest else found


def _sum(tokens: Words) -> Part:
    found, rest = _product(tokens)
    while rest[:1] in (("+",), ("-",)):
        other, behind = _product(rest[1:])
        found, rest = (found + other if rest[0] == "+" else found - other), behind
    return found, rest


def _product(tokens: Words) -> Part:
    found, rest = _atom(tokens)
    while rest[:1] in (("*",), ("/",)):
        other, behind = _atom(rest[1:])
        found, rest = (found * other if rest[0] == "*" else found / other), behind
    return found, rest


def _atom(tokens: Words) -> Part:
    if tokens[:1] != ("(",):
        return Fraction(int("".join(tokens[:1]))), tokens[1:]
    found, rest = _sum(tokens[1:])
    if rest[:1] != (")",):
        raise ValueError("a parenthesis is not closed")
    return found, rest[1:]
