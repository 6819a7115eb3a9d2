"""How recipes are spelled: words and calls, `specpc(keep=512, reduction=mean)`, joined by + and @.

Values are numbers, true, false, none, quoted text, or bare words that stand for text. What
holds a sign of this syntax, such as a path with a +, is quoted; plain paths are words.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Any

from forethought.contracts.errors import UsageError

_PIECE = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|.""", re.DOTALL)
_CALL = re.compile(r"([A-Za-z][\w-]*)\s*(?:\((.*)\))?", re.DOTALL)
_WORD = re.compile(r"(?:[A-Za-z_]|\.{0,2}/)[\w./:-]*|\d+(?:\.\d+)?(?:[kMG]i?)?B")
_CONSTANTS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Call:
    """A name and the settings in its brackets."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        inner = ", ".join(f"{key}={written(value)}" for key, value in self.settings.items())
        return f"{self.name}({inner})" if inner else self.name


def parse(text: str) -> Call:
    """The call that `text` spells; a UsageError says what is wrong with it."""
    found = _CALL.fullmatch(text.strip())
    if not found:
        raise UsageError(
            f"{text!r} is not of the form name(parameter=value)", "for example: specpc(keep=512)"
        )
    settings: dict[str, Any] = {}
    for part in split(found[2] or "", ","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key.isidentifier():
            raise UsageError(
                f"{text.strip()!r}: {part!r} is not of the form parameter=value",
                f"name it, and see: forethought show {found[1]}",
            )
        if key in settings:
            raise UsageError(f"{text.strip()!r} sets {key} twice", "give each parameter once")
        settings[key] = _read(value)
    return Call(found[1], settings)


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand outside quotes and brackets; none if blank."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += (piece in "([") - (piece in ")]")
        if piece in "'\"" or depth < 0:
            break
        if piece == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    else:
        if depth == 0:
            return [part.strip() for part in parts] if text.strip() else []
    raise UsageError(f"{text!r} has an unpaired quote or bracket", "close it, or quote the name")


def quoted(name: str) -> str:
    """`name` as it may stand in a spelling: in quotes where it holds a sign of the syntax."""
    return repr(name) if name != name.strip() or set(name) & set("+@()[]'\"") else name


def unquoted(text: str) -> str:
    """The name that `quoted` wrote."""
    text = text.strip()
    return str(_literal(text)) if text[:1] in {"'", '"'} else text


def written(value: Any) -> str:
    """A value as it stands in a spelling."""
    if isinstance(value, str):
        plain = _WORD.fullmatch(value) and value.lower() not in _CONSTANTS
        return value if plain else repr(value)
    return repr(value).lower() if value is None or isinstance(value, bool) else repr(value)


def _read(value: str) -> Any:
    if value.lower() in _CONSTANTS:
        return _CONSTANTS[value.lower()]
    return value if _WORD.fullmatch(value) else _literal(value)


def _literal(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise UsageError(f"{value!r} is not a value", "quote text that is not one word") from None
