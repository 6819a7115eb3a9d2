"""Long numbers and their notation."""

from __future__ import annotations

import re
from random import Random

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def long_number(random: Random, digits: int) -> int:
    """A random number of exactly `digits` digits."""
    return random.randrange(10 ** (digits - 1), 10**digits)


def without_thousands(text: str) -> str:
    """Remove thousands separators."""
    return _THOUSANDS.sub("", text)
