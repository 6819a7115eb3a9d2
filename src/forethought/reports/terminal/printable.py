"""Escapes of control characters for a terminal."""

from __future__ import annotations

import re

# Controls except newline and tab, bidirectional overrides, lone surrogates, and carriage returns
# that are not part of a newline.
CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"


def printable(text: str) -> str:
    """Escape every character that a terminal would interpret."""
    if text.isprintable():  # a fast path that compiles no pattern
        return text
    return re.sub(CONTROLS, lambda found: escaped(found[0]), text)


def escaped(sign: str) -> str:
    """The escape of a character: `\\x1b`, `\\u202e`."""
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
