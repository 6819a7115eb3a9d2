"""All output goes through this module, which escapes control characters on a terminal.

Texts of models, servers, files and users may hold characters that move the cursor, set a window's
title or reverse the text. On a terminal each of them prints as `\\x1b` and the like; a pipe gets
them unchanged.
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
"""Bold, dim and plain: the styles of reports."""
_WIDTH_WHEN_PIPED = 100
_WIDTH_UNTOLD = 80
_FOREIGN = r"[^\n -~]"


class ReaderLeft(Exception):
    """The reader of the output is gone, as after `| head`."""


def write(stream: TextIO, text: str) -> None:
    """Write text and flush; escaped on a terminal."""
    _put(stream, printable(text) if stream.isatty() else text)


def report(text: str, stream: TextIO | None = None) -> None:
    """Write a report and a newline, by default to standard output; styles stay."""
    stream = stream or sys.stdout
    if stream.isatty():  # odd parts are styles
        parts = enumerate(re.split(_STYLE, text))
        text = "".join(part if place % 2 else printable(part) for place, part in parts)
    _put(stream, text + "\n")


def redraw(stream: TextIO, line: str) -> None:
    """Replace the last drawn line; an empty line clears it."""
    _put(stream, CLEAR_LINE + printable(line))


def _put(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError as error:
        # The rest of the buffer must not fail again when the interpreter closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise ReaderLeft from error


def report_json(text: str, stream: TextIO | None = None) -> None:
    """Write JSON that stays valid on every stream; characters are escaped if necessary."""
    stream = stream or sys.stdout
    whole = (stream.encoding or "utf").lower().startswith("utf")
    if stream.isatty() or not whole:
        text = re.sub(CONTROLS if whole else _FOREIGN, _numbered, text)
    _put(stream, text + "\n")


def _numbered(found: re.Match[str]) -> str:
    """JSON escapes of characters; surrogate pairs beyond the basic plane."""
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def columns(stream: TextIO) -> int:
    """The line width for this stream: the terminal's, or a default."""
    if not stream.isatty():
        return _WIDTH_WHEN_PIPED
    with suppress(ValueError):
        if (stated := int(os.environ.get("COLUMNS", 0))) > 0:
            return stated
    with suppress(OSError, ValueError):  # a terminal without a size, or no file descriptor
        return os.get_terminal_size(stream.fileno()).columns or _WIDTH_UNTOLD
    return _WIDTH_UNTOLD


def has_colour(stream: TextIO) -> bool:
    """Whether this stream is a terminal with colour enabled."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain
