"""Text of others in Markdown: no sign of it is Markdown or HTML, and none leaves its line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from forethought.reports.terminal.printable import printable


def plain(text: str) -> str:
    """Text on one line in which no sign means anything."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#&~" else sign for sign in _line(text))


def code(text: str) -> str:
    """Text as code; a bar would end a cell, and as many backticks as the fence has the code."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " * bool(longest)
    inner = _line(text).replace("|", "\\|")
    return f"{fence}{space}{inner}{space}{fence}"


def table(heading: Iterable[str], rule: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, rule, *rows])


def _line(text: str) -> str:
    return " ".join(printable(text).split())
