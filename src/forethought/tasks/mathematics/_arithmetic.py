"""Exact and complex arithmetic, bounded in size."""

from __future__ import annotations

import cmath
import math
from fractions import Fraction

Value = Fraction | complex
"""An exact fraction, or floating point once roots, pi or i occur."""

_BITS = 4096


class NoValueError(Exception):
    """The text is not a supported expression."""


def same(one: Value, other: Value) -> bool:
    """Whether two values are equal, up to rounding in floating point."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    try:
        return cmath.isclose(complex(one), complex(other), rel_tol=1e-12, abs_tol=1e-14)
    except OverflowError:
        return False


def real(number: Value) -> Fraction | float:
    """The real number; NoValueError if it has an imaginary part."""
    if isinstance(number, Fraction):
        return number
    if number.imag:
        raise NoValueError("is no real number")
    return number.real


def bounded(result: Value) -> Value:
    """The result; NoValueError if the fraction is too large."""
    if (
        isinstance(result, Fraction)
        and max(result.numerator.bit_length(), result.denominator.bit_length()) > _BITS
    ):
        raise NoValueError("too large")
    return result


def size(number: Value) -> Fraction | float:
    """The absolute value of a number."""
    return abs(number) if isinstance(number, Fraction) else math.hypot(number.real, number.imag)


def raised(base: Value, power: Value) -> Value:
    """A power, exact if it is rational."""
    if isinstance(base, Fraction) and isinstance(power, Fraction):
        if power.denominator == 1:
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if bits * abs(power.numerator) > _BITS:
                raise NoValueError("too large")
            return base**power.numerator
        if root := _exact_root(base, power.denominator):
            return raised(root, Fraction(power.numerator))
        if base < 0 and power.denominator % 2:
            return -raised(-base, power) if power.numerator % 2 else raised(-base, power)
    if base == 0:
        return Fraction(0)
    return complex(base) ** complex(power)


def _exact_root(base: Fraction, degree: int) -> Fraction | None:
    if base <= 0 or degree > 64:
        return None
    parts = [round(part ** (1 / degree)) for part in (base.numerator, base.denominator)]
    root = Fraction(parts[0], parts[1] or 1)
    return root if root**degree == base else None


def _whole(number: Value) -> int:
    if not isinstance(number, Fraction) or number.denominator != 1 or not 0 <= number <= 300:
        raise NoValueError("must be a small whole number")
    return int(number)


def factorial(number: Value) -> Fraction:
    """The factorial of a small whole number."""
    return Fraction(math.factorial(_whole(number)))


def choose(of: Value, number: Value) -> Fraction:
    """A binomial coefficient of small whole numbers."""
    return Fraction(math.comb(_whole(of), _whole(number)))
