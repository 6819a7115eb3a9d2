"""Characters that a terminal obeys, shown as numbers instead."""

from __future__ import annotations

import re

# Controls but newline and tab, what turns the direction of writing, and halves of characters; and
# a carriage return that is not half of a newline.
CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]|\r(?!\n)"


def printable(text: str) -> str:
    """The text with every character escaped that a terminal would obey."""
    if text.isprintable():  # most texts are, and no pattern needs to be compiled for them
        return text
    return re.sub(CONTROLS, lambda found: escaped(found[0]), text)


def escaped(sign: str) -> str:
    """A character as its number: `\\x1b`, `\\u202e`."""
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
