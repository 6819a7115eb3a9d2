"""All that is printed goes through here: what a terminal must not be told is shown escaped.

Texts of models, servers, files and users may hold characters that move the cursor, set a window's
title or reverse the letters. A terminal shows each of them as `\\x1b` and the like; a pipe passes
them on as they are.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TextIO

from forethought.reports.terminal.printable import CONTROLS, printable

CLEAR_LINE = "\r\x1b[K"
_STYLE = r"(\x1b\[[012]m)"
"""Bold, dim and plain: all that reports are styled with."""
_WIDTH_WHEN_PIPED = 100
_WIDTH_UNTOLD = 80
_FOREIGN = r"[^\n -~]"


class ReaderLeft(Exception):
    """Nobody reads what is written any more, as behind `| head`."""


def write(stream: TextIO, text: str) -> None:
    """Write data at once: as it is, or escaped on a terminal."""
    _put(stream, printable(text) if stream.isatty() else text)


def report(text: str, stream: TextIO | None = None) -> None:
    """Write a whole report and a newline, to standard output unless said; its styles are kept."""
    stream = stream or sys.stdout
    if stream.isatty():  # every other part is a style
        parts = enumerate(re.split(_STYLE, text))
        text = "".join(part if place % 2 else printable(part) for place, part in parts)
    _put(stream, text + "\n")


def redraw(stream: TextIO, line: str) -> None:
    """Show a line in the place of the one that was drawn last; an empty one takes it away."""
    _put(stream, CLEAR_LINE + printable(line))


def _put(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError as error:
        # What is left in the stream must not fail again when the interpreter closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise ReaderLeft from error


def report_json(text: str, stream: TextIO | None = None) -> None:
    """Write JSON so that it stays the same JSON on every stream: letters as numbers if need be."""
    stream = stream or sys.stdout
    whole = (stream.encoding or "utf").lower().startswith("utf")
    if stream.isatty() or not whole:
        text = re.sub(CONTROLS if whole else _FOREIGN, _numbered, text)
    _put(stream, text + "\n")


def _numbered(found: re.Match[str]) -> str:
    """Characters as JSON counts them, those beyond the first 65,536 in two halves."""
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def columns(stream: TextIO) -> int:
    """How wide lines may be on this stream: as wide as the terminal that it is."""
    if not stream.isatty():
        return _WIDTH_WHEN_PIPED
    with suppress(ValueError):
        if (stated := int(os.environ.get("COLUMNS", 0))) > 0:
            return stated
    with suppress(OSError, ValueError):  # a terminal that does not tell, or no file at all
        return os.get_terminal_size(stream.fileno()).columns or _WIDTH_UNTOLD
    return _WIDTH_UNTOLD


def has_colour(stream: TextIO) -> bool:
    """Whether this stream is a terminal that wants colour."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain
