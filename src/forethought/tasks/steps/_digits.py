"""Long numbers, and how they may be written."""

from __future__ import annotations

import re
from random import Random

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def long_number(random: Random, digits: int) -> int:
    """A number of exactly so many digits."""
    return random.randrange(10 ** (digits - 1), 10**digits)


def without_thousands(text: str) -> str:
    """The text without commas inside of numbers."""
    return _THOUSANDS.sub("", text)
