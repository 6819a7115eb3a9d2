r"""What an expression in LaTeX is worth, exactly where it is rational.

Variables get fixed rational values, several in turn, so that expressions that agree at all of
them are the same. Sizes are bounded, so no expression takes long.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from hashlib import sha256

Value = Fraction | complex
"""Exact, or a number in floating point where roots, pi or i come in."""

POINTS = 3
"""How many sets of values the variables get."""
_BITS = 4096
_FUNCTIONS: Mapping[str, Callable[[complex], complex]] = {
    r"\sin": cmath.sin,
    r"\cos": cmath.cos,
    r"\tan": cmath.tan,
    r"\ln": cmath.log,
    r"\exp": cmath.exp,
    r"\arcsin": cmath.asin,
    r"\arccos": cmath.acos,
    r"\arctan": cmath.atan,
}
_TOKEN = re.compile(r"\d+\.?\d*|\.\d+|\\[A-Za-z]+|[A-Za-z]|[-+*/^_(){}\[\]|!]")
_PROPER = re.compile(
    r"\\frac (?P<brace>\{ )?(?P<top>\d+?)(?(brace) \} \{ | ?)(?P<bottom>\d+)(?(brace) \})"
)
_CLOSING = {"(": ")", "{": "}", "[": "]"}


class NoValueError(Exception):
    """The text is no expression that is read here."""


def value(text: str, point: int) -> Value:
    """What the expression is worth at one of the points."""
    reader = _Reader(_tokens(text), point)
    try:
        result = reader.total()
    except (ZeroDivisionError, OverflowError, ValueError, RecursionError) as error:
        raise NoValueError(str(error)) from error
    if reader.rest:
        raise NoValueError(f"{reader.rest[0]!r} is left over")
    return result


def same(one: Value, other: Value) -> bool:
    """Whether two values are equal, to rounding where they are in floating point."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    try:
        return cmath.isclose(complex(one), complex(other), rel_tol=1e-12, abs_tol=1e-12)
    except OverflowError:
        return False


def _tokens(text: str) -> list[str]:
    if len(text) > 2000:
        raise NoValueError("too long")
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s+", "", text):
        raise NoValueError("holds other signs")
    return tokens


def _variable(name: str, point: int) -> Fraction:
    digest = sha256(f"{name} {point}".encode()).digest()
    return Fraction(2 + digest[0], 3 + digest[1])


class _Reader:
    """Reads one expression from left to right; every method reads what it is named for."""

    def __init__(self, tokens: list[str], point: int) -> None:
        self.rest = tokens
        self.point = point

    def total(self) -> Value:
        result = self._product()
        while self._next() in ("+", "-"):
            sign = self._take()
            term = self._product()
            result = _bounded(result + term if sign == "+" else result - term)
        return result

    def _product(self) -> Value:
        result = self._signed()
        while self._next() not in ("", "+", "-", ")", "]", "}", "|"):
            if self._next() == "*":
                self._take()
                result = _bounded(result * self._signed())
            elif self._next() == "/":
                self._take()
                result = _bounded(result / self._signed())
            else:
                result = _bounded(result * self._power())
        return result

    def _signed(self) -> Value:
        if self._next() in ("+", "-"):
            return -self._signed() if self._take() == "-" else self._signed()
        return self._power()

    def _power(self) -> Value:
        result = self._factor()
        while self._next() == "!":
            self._take()
            result = _factorial(result)
        if self._next() == "^":
            self._take()
            result = _raised(result, self._signed() if self._next() == "-" else self._argument())
        return result

    def _factor(self) -> Value:
        token = self._take()
        if token[0].isdigit() or token[0] == ".":
            return self._mixed(token)
        if token == "|":
            return _size(self._until("|"))
        if token in _CLOSING:
            return self._until(_CLOSING[token])
        if token == r"\frac":
            return _bounded(self._argument() / self._argument())
        if token == r"\binom":
            return _choose(self._argument(), self._argument())
        if token == r"\sqrt":
            return self._root()
        if token in _FUNCTIONS:
            return _FUNCTIONS[token](complex(self._power()))
        if token == r"\log":
            return self._logarithm()
        return self._name(token)

    def _name(self, token: str) -> Value:
        if token == r"\pi":
            return complex(math.pi)
        if token == "i":
            return 1j
        if not token[-1].isalpha():
            raise NoValueError(f"{token!r} begins no factor")
        if self._next() == "_":
            self._take()
            token += "_" + self._subscript()
        return _variable(token, self.point)

    def _subscript(self) -> str:
        if self._next() != "{":
            return self._take()
        taken = self._take()
        while taken[-1] != "}":
            taken += self._take()
        return taken[1:-1]

    def _mixed(self, token: str) -> Value:
        """A number, to a base if it has one; with a proper fraction behind it, their sum."""
        whole = Fraction(token)
        if self._next() == "_":
            self._take()
            return _variable(f"{token}_{self._subscript()}", self.point)
        small = _PROPER.match(" ".join(self.rest[:7])) if token.isdigit() else None
        if small and int(small["top"]) < int(small["bottom"]):
            del self.rest[: len(small[0].split())]
            return whole + Fraction(int(small["top"]), int(small["bottom"]))
        return whole

    def _root(self) -> Value:
        degree = Fraction(2)
        if self._next() == "[":
            self._take()
            given = self._until("]")
            if not isinstance(given, Fraction):
                raise NoValueError("a root of that degree")
            degree = given
        return _raised(self._argument(), 1 / degree)

    def _logarithm(self) -> Value:
        base: Value = Fraction(10)
        if self._next() == "_":
            self._take()
            base = self._argument()
        return cmath.log(complex(self._power())) / cmath.log(complex(base))

    def _argument(self) -> Value:
        """What stands in braces, or else one sign: LaTeX reads a fraction 43 as 4 over 3."""
        token = self._next()
        if token.isdigit() and len(token) > 1:
            self.rest[0] = token[1:]
            return Fraction(token[0])
        return self._factor()

    def _until(self, closing: str) -> Value:
        result = self.total()
        if self._take() != closing:
            raise NoValueError(f"{closing!r} is missing")
        return result

    def _next(self) -> str:
        return self.rest[0] if self.rest else ""

    def _take(self) -> str:
        if not self.rest:
            raise NoValueError("ends too early")
        return self.rest.pop(0)


def _bounded(result: Value) -> Value:
    if (
        isinstance(result, Fraction)
        and max(result.numerator.bit_length(), result.denominator.bit_length()) > _BITS
    ):
        raise NoValueError("too large")
    return result


def _size(number: Value) -> Value:
    return abs(number) if isinstance(number, Fraction) else complex(abs(number))


def _raised(base: Value, power: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(power, Fraction):
        if power.denominator == 1:
            size = max(base.numerator.bit_length(), base.denominator.bit_length())
            if size * abs(power.numerator) > _BITS:
                raise NoValueError("too large")
            return base**power.numerator
        if root := _exact_root(base, power.denominator):
            return _raised(root, Fraction(power.numerator))
        if base < 0 and power.denominator % 2:
            return -_raised(-base, power) if power.numerator % 2 else _raised(-base, power)
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


def _factorial(number: Value) -> Fraction:
    return Fraction(math.factorial(_whole(number)))


def _choose(of: Value, number: Value) -> Fraction:
    return Fraction(math.comb(_whole(of), _whole(number)))
