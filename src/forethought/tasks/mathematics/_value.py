r"""Evaluation of LaTeX expressions, exact for rational values.

Variables take fixed rational values at several points; expressions that agree at all points
count as equal. Sizes are bounded, so evaluation is fast.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from hashlib import sha256

from forethought.tasks.mathematics._arithmetic import (
    NoValueError,
    Value,
    bounded,
    choose,
    factorial,
    raised,
    real,
    size,
)

POINTS = 3
"""Number of points, sets of values for the variables."""
_FUNCTIONS: Mapping[str, Callable[[complex], complex]] = {
    r"\sin": cmath.sin,
    r"\cos": cmath.cos,
    r"\tan": cmath.tan,
    r"\sec": lambda number: 1 / cmath.cos(number),
    r"\csc": lambda number: 1 / cmath.sin(number),
    r"\cot": lambda number: 1 / cmath.tan(number),
    r"\sinh": cmath.sinh,
    r"\cosh": cmath.cosh,
    r"\tanh": cmath.tanh,
    r"\ln": cmath.log,
    r"\exp": cmath.exp,
    r"\arcsin": cmath.asin,
    r"\arccos": cmath.acos,
    r"\arctan": cmath.atan,
}
_INVERSES = {r"\sin": cmath.asin, r"\cos": cmath.acos, r"\tan": cmath.atan}
_CONSTANTS: Mapping[str, Value] = {
    r"\pi": complex(math.pi),
    "e": complex(math.e),
    "i": 1j,
}
_ROUNDED = {r"\lfloor": (r"\rfloor", math.floor), r"\lceil": (r"\rceil", math.ceil)}
_TOKEN = re.compile(r"\d+\.?\d*|\.\d+|\\[A-Za-z]+|[A-Za-z]|[-+*/^_(){}\[\]|!=]")
_SPACE = re.compile(r"\s+")
_CLOSING = {"(": ")", "{": "}", "[": "]"}
_ENDS = ("", "+", "-", ")", "]", "}", "|", r"\rfloor", r"\rceil")
_NO_NAMES = (r"\text", r"\begin", r"\end")


def value(text: str, point: int) -> Value:
    """The value of an expression at one of the points."""
    parser = _Parser(_tokens(text), point)
    try:
        result = parser.total()
    except (ZeroDivisionError, OverflowError, ValueError, RecursionError) as error:
        raise NoValueError(str(error)) from error
    if parser.next():
        raise NoValueError(f"{parser.next()!r} is left over")
    return result


def _tokens(text: str) -> list[str]:
    if len(text) > 2000:
        raise NoValueError("too long")
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != _SPACE.sub("", text):
        raise NoValueError("holds other signs")
    return tokens


def _variable(name: str, point: int) -> Fraction:
    digest = sha256(f"{name} {point}".encode()).digest()
    return Fraction(2 + digest[0], 3 + digest[1])


class _Parser:
    """A recursive-descent parser; each method parses the construct in its name."""

    def __init__(self, tokens: list[str], point: int) -> None:
        self.tokens = tokens
        self.point = point
        self.place = 0

    def total(self) -> Value:
        result = self._product()
        while self.next() in ("+", "-"):
            sign = self._take()
            term = self._product()
            result = bounded(result + term if sign == "+" else result - term)
        return result

    def _product(self) -> Value:
        result = self._signed()
        while self.next() not in _ENDS:
            if self.next() == "*":
                self._take()
                result = bounded(result * self._signed())
            elif self.next() == "/":
                self._take()
                result = bounded(result / self._signed())
            elif _is_number(self.next()) and _is_number(self.tokens[self.place - 1]):
                raise NoValueError("two numbers stand side by side")
            else:
                result = bounded(result * self._power())
        return result

    def _signed(self) -> Value:
        if self.next() in ("+", "-"):
            return -self._signed() if self._take() == "-" else self._signed()
        return self._power()

    def _power(self) -> Value:
        result = self._factor()
        while self.next() == "!":
            self._take()
            result = factorial(result)
        return raised(result, self._exponent()) if self.next() == "^" else result

    def _exponent(self) -> Value:
        self._take()
        return self._signed() if self.next() == "-" else self._argument()

    def _factor(self) -> Value:
        token = self._take()
        if _is_number(token):
            return self._mixed(token)
        if token == "|":
            return _absolute(self._up_to("|"))
        if token in _CLOSING:
            return self._up_to(_CLOSING[token])
        if token in _ROUNDED:
            closing, rounded = _ROUNDED[token]
            return Fraction(rounded(real(self._up_to(closing))))
        if token == r"\frac":
            return bounded(self._argument() / self._argument())
        if token == r"\binom":
            return choose(self._argument(), self._argument())
        if token == r"\sqrt":
            return self._root()
        if token in _FUNCTIONS:
            return self._function(token)
        if token == r"\log":
            return self._logarithm()
        return self._name(token)

    def _name(self, token: str) -> Value:
        if not token[-1].isalpha() or token in _NO_NAMES:
            raise NoValueError(f"{token!r} begins no factor")
        if self.next() == "_":
            self._take()
            token += "_" + self._subscript()
        return _CONSTANTS[token] if token in _CONSTANTS else _variable(token, self.point)

    def _subscript(self) -> str:
        if self.next() != "{":
            return self._take()
        taken = [self._take()]
        while taken[-1] != "}":
            taken.append(self._take())
        return "".join(taken[1:-1])

    def _mixed(self, token: str) -> Value:
        """A number; a subscript is its base, and a proper fraction after it is added."""
        whole = Fraction(token)
        if self.next() == "_":
            self._take()
            return _variable(f"{token}_{self._subscript()}", self.point)
        for top, bottom, length in self._fractions() if token.isdigit() else ():
            if top.isdigit() and bottom.isdigit() and int(top) < int(bottom):
                self.place += length
                return whole + Fraction(int(top), int(bottom))
        return whole

    def _fractions(self) -> Iterator[tuple[str, str, int]]:
        """Candidates for a fraction here: numerator, denominator and number of tokens."""
        ahead = [*self.tokens[self.place : self.place + 7], *[""] * 7]
        if ahead[1] == "/":
            yield ahead[0], ahead[2], 3
        if ahead[0] == r"\frac":
            if (ahead[1], ahead[3], ahead[4], ahead[6]) == ("{", "}", "{", "}"):
                yield ahead[2], ahead[5], 7
            if len(ahead[1]) == 2:
                yield ahead[1][0], ahead[1][1], 2
            if len(ahead[1]) == 1:
                yield ahead[1], ahead[2], 3
            if (ahead[2], ahead[4]) == ("{", "}"):
                yield ahead[1], ahead[3], 5

    def _function(self, name: str) -> Value:
        r"""A function application, with an optional power of it: \sin^2 x is (\sin x)^2."""
        if self.next() != "^":
            return _FUNCTIONS[name](complex(self._operand()))
        power = self._exponent()
        if power == -1 and name in _INVERSES:
            return _INVERSES[name](complex(self._operand()))
        return raised(_FUNCTIONS[name](complex(self._operand())), power)

    def _operand(self) -> Value:
        """A function's argument: a factor and, without brackets, the letters after it."""
        bracketed = self.next() in _CLOSING
        result = self._power()
        while not bracketed and (self.next() in _CONSTANTS or self.next().isalpha()):
            result = bounded(result * self._power())
        return result

    def _root(self) -> Value:
        degree = Fraction(2)
        if self.next() == "[":
            self._take()
            given = self._up_to("]")
            if not isinstance(given, Fraction):
                raise NoValueError("a root of that degree")
            degree = given
        return raised(self._argument(), 1 / degree)

    def _logarithm(self) -> Value:
        base: Value = Fraction(10)
        if self.next() == "_":
            self._take()
            base = self._argument()
        return cmath.log(complex(self._operand())) / cmath.log(complex(base))

    def _argument(self) -> Value:
        r"""A LaTeX argument, a group in braces or one character: \frac43 is 4 over 3."""
        token = self.next()
        if token.isdigit() and len(token) > 1:
            self.tokens[self.place] = token[1:]
            return Fraction(token[0])
        return self._factor()

    def _up_to(self, closing: str) -> Value:
        result = self.total()
        if self._take() != closing:
            raise NoValueError(f"{closing!r} is missing")
        return result

    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self) -> str:
        if self.place == len(self.tokens):
            raise NoValueError("ends too early")
        self.place += 1
        return self.tokens[self.place - 1]


def _absolute(number: Value) -> Value:
    found = size(number)
    return found if isinstance(found, Fraction) else complex(found)


def _is_number(token: str) -> bool:
    return token[:1].isdigit() or token[:1] == "."
