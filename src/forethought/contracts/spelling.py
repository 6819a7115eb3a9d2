r"""The syntax of recipes: names and calls, `specpc(keep=512, reduction=mean)`, joined by + and @.

A value is a number, true, false, none, quoted text, or a bare word. A number with a unit, such as
60x or $0.01, needs no quotes. A name that holds a character
of the syntax, such as a path with a +, needs quotes; plain paths need none.

Quoted text has the escapes that `written` uses: \n, \r, \t, \\, quotes, and \x, \u or \U with
hexadecimal digits. A Windows path needs no escapes: bare, or in quotes if it begins with a drive
(`C:\new`) or a share (`\\server\share`), or ends in a file name (`data\new.jsonl`). A path with
doubled backslashes, as `written` spells it, is text with escapes.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from forethought.contracts.errors import UsageError

# Signs that no file name holds, and braces: a prompt may begin with "Q:\n{question}".
_NOT_IN_NAMES = r"<>:|?*{}\r\n"
_ROOT = (
    r"(?:\\\\[?.]\\)?[A-Za-z]:\\(?!\\)"
    rf"|\\\\(?:[?.]\\UNC\\)?[^\\/\s{_NOT_IN_NAMES}'\"]+\\(?!\\)"
)
_ROOTED = "|".join(f"{sign}(?:{_ROOT})[^{_NOT_IN_NAMES}{sign}]*{sign}" for sign in "'\"")
_FILE = r"""(['"])[\w.~%-]*(?:\\[\w.~%-]+)*\\[\w~%-]+(?:\.\w+)+\1"""
_PATH = re.compile(f"{_FILE}|{_ROOTED}")
_QUOTED = r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\""""
_PIECE = re.compile(rf"(?P<quotation>{_ROOTED}|{_QUOTED})|(?P<unpaired>['\"].*)|.", re.DOTALL)
_HEX = "[0-9a-fA-F]"
_ESCAPE = re.compile(rf"\\(?:([\\'\"nrt])|x({_HEX}{{2}})|u({_HEX}{{4}})|U(00{_HEX}{{6}}))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_CALL = re.compile(r"([A-Za-z][\w-]*)\s*(?:\((.*)\))?", re.DOTALL)
_WORD = re.compile(r"(?:[A-Za-z_]|\.{0,2}/)[\w./:-]*|\d+(?:\.\d+)?(?:[kMG]i?)?B")
_AMOUNT = re.compile(r"\$\d+(?:\.\d+)?|\d+(?:\.\d+)?[A-Za-z]+")
_BARE_PATH = re.compile(r"[\w.~%/:-]*(?:\\[\w.~%/:-]*)+")
_CONSTANTS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Call:
    """A name and its parameters."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        inner = ", ".join(f"{key}={written(value)}" for key, value in self.settings.items())
        return f"{self.name}({inner})" if inner else self.name


def parse(text: str) -> Call:
    """Parse a call; raises UsageError for wrong syntax."""
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
    """Split at separators outside quotes and brackets; a blank text has no parts."""
    cuts, depth = [0], 0
    for found in _PIECE.finditer(text):
        piece = found[0]
        depth += (piece in "([") - (piece in ")]")
        if found["unpaired"] or depth < 0:
            break
        if piece == separator and depth == 0:
            cuts.append(found.end())
    else:
        if depth == 0:
            ends = [*(cut - len(separator) for cut in cuts[1:]), len(text)]
            parts = [text[start:end].strip() for start, end in zip(cuts, ends, strict=True)]
            return parts if text.strip() else []
    raise UsageError(f"{text!r} has an unpaired quote or bracket", "close it, or quote the name")


def quoted(name: str) -> str:
    """`name`, quoted if it holds a character of the syntax."""
    return _quotation(name) if name != name.strip() or set(name) & set("+@()[]'\"") else name


def unquoted(text: str) -> str:
    """The inverse of `quoted`."""
    text = text.strip()
    return str(_literal(text)) if text[:1] in {"'", '"'} else text


def written(value: Any) -> str:
    """A value in the syntax of a spelling."""
    if isinstance(value, str):
        plain = _WORD.fullmatch(value) and value.lower() not in _CONSTANTS
        return value if plain else _quotation(value)
    return repr(value).lower() if value is None or isinstance(value, bool) else repr(value)


def _quotation(text: str) -> str:
    """`text` in quotes; in several pieces if it would read as a Windows path."""
    whole = repr(text)
    if not _PATH.match(whole):
        return whole
    return " ".join(repr("".join(part)) for _, part in groupby(text, key=_escapes))


def _escapes(sign: str) -> bool:
    return sign in "'\"" or not sign.isprintable()


def _read(value: str) -> Any:
    if value.lower() in _CONSTANTS:
        return _CONSTANTS[value.lower()]
    bare = any(form.fullmatch(value) for form in (_WORD, _AMOUNT, _BARE_PATH))
    return value if bare else _literal(value)


def _literal(value: str) -> Any:
    pieces = [found for found in _PIECE.finditer(value) if not found[0].isspace()]
    if pieces and all(found["quotation"] for found in pieces):
        return "".join(_text(found[0]) for found in pieces)
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise UsageError(
            f"{value!r} is not a value",
            "quote text that is not one word, as in name='two words'",
        ) from None


def _text(quotation: str) -> str:
    inner = quotation[1:-1]
    return inner if _PATH.fullmatch(quotation) else _ESCAPE.sub(_unescaped, inner)


def _unescaped(escape: re.Match[str]) -> str:
    sign = escape[1]
    if sign:
        return _ESCAPED.get(sign, sign)
    number = int(escape[2] or escape[3] or escape[4], 16)
    return chr(number) if number <= sys.maxunicode else escape[0]
