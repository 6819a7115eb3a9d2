"""Untrusted text in Markdown: escaped, on one line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from forethought.reports.terminal.printable import printable


def plain(text: str) -> str:
    """Escape text, so that it holds no Markdown or HTML, and join its lines."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#&~" else sign for sign in _line(text))


def code(text: str) -> str:
    """Format text as inline code in a table cell, with a fence longer than its backticks."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " * bool(longest)
    inner = _line(text).replace("|", "\\|")
    return f"{fence}{space}{inner}{space}{fence}"


def table(heading: Iterable[str], rule: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table from cells in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [heading, rule, *rows])


def _line(text: str) -> str:
    return " ".join(printable(text).split())
