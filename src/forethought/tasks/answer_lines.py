"""The line of an answer that states its result, after the word Answer and a colon."""

from __future__ import annotations

import re

_ANSWER = re.compile(
    r"^[ \t*_#>]*answer[ \t*_]*[:=][ \t*_]*([^\s*_].*)$", re.IGNORECASE | re.MULTILINE
)


def answers(text: str) -> list[str]:
    """The result on each answer line, without markup around it."""
    return [found.rstrip("*_$`. \t\r").lstrip("$`") for found in _ANSWER.findall(text)]
