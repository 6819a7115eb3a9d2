"""Removes an API key, in any encoding, from texts that a server sends."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass, field
from typing import Any, TypeVar

from forethought.backends.openai.shape import ShapeError
from forethought.contracts.errors import ForethoughtError

Error = TypeVar("Error", bound=ForethoughtError)
MASK = "***"
_DEEPEST = 100
"""Levels of nesting; a reply has about eight."""
_ESCAPES = r"\\*+"
_LEAST, _SURE = 8, 16
"""Length from which a key with a digit, or any key, is secret and not a word such as EMPTY."""
_LONGEST = 64
"""Characters of the key that the pattern spells out; the characters after them match loosely."""


@dataclass(frozen=True)
class Scrubber:
    """One key and a pattern for all of its encodings."""

    key: str = field(repr=False)
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = None
        if self.key:
            found = _secret(self.key) if self.secret else _word(self.key)
            pattern = re.compile(found, re.IGNORECASE)
        object.__setattr__(self, "_pattern", pattern)

    @property
    def secret(self) -> bool:
        """Whether the key is too unusual to occur in an answer, unlike EMPTY or none."""
        size = len(self.key)
        return size >= _SURE or (size >= _LEAST and any(map(str.isdigit, self.key)))

    def text(self, text: str) -> str:
        """The text without the key, for display."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def answer(self, text: str) -> str:
        """An answer without the key; a key that is a common word stays."""
        return self.text(text) if self.secret else text

    def begun(self, text: str) -> int:
        """Characters at the end of a text with which the key may begin."""
        key = self.key.casefold() if self.secret else ""
        tail = text[-len(key) :].casefold() if key else ""
        return next((n for n in range(len(tail), 0, -1) if key.startswith(tail[-n:])), 0)

    def error(self, error: Error) -> Error:
        """The same error without the key and without its cause."""
        return type(error)(self.text(error.message), self.text(error.hint))

    def document(self, document: Any) -> Any:
        """Scrub a parsed document in place; ShapeError where its nesting is too deep."""
        whole = [document]
        levels: list[tuple[Any, int]] = [(whole, 0)]
        while levels:
            holder, depth = levels.pop()
            if depth > _DEEPEST:
                raise ShapeError("[...]", f"a document of at most {_DEEPEST} levels")
            items = list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder))
            for name, value in items:
                if isinstance(value, dict | list):
                    levels.append((value, depth + 1))
                elif isinstance(value, str):
                    holder[name] = self.answer(value)
                if isinstance(name, str) and (clean := self.answer(name)) != name:
                    holder[clean] = holder.pop(name)
        return whole[0]


def _secret(key: str) -> str:
    """Pattern for a key anywhere in a text, also truncated or encoded."""
    whole = [*_base64(key), key.encode().hex()]
    key = _with_single_backslashes(key)
    size = min(_LONGEST, max(_LEAST, -(-2 * len(key) // 3)))
    rest = "".join(f"{_letter(letter, _ESCAPES)}?" for letter in key[size:_LONGEST])
    tail = r"[\w.~+/=%&#;\\-]*" if len(key) > _LONGEST else ""
    spelled = _letters(key[:size]) + rest + tail
    return "|".join([spelled, *(re.escape(one) for one in whole)])


def _word(key: str) -> str:
    """Pattern for a key that may be a common word, as a word of its own."""
    return f"(?<![a-z0-9]){_letters(_with_single_backslashes(key))}(?![a-z0-9])"


def _with_single_backslashes(key: str) -> str:
    """Collapse runs of backslashes: escaping doubles them, so any run matches any other."""
    return re.sub(r"\\+", r"\\", key)


def _letters(text: str) -> str:
    """Pattern for these characters, without backslashes before the first one.

    Matching optional backslashes there would take quadratic time on long runs of them.
    """
    start = r"(?<!\\)" if text.startswith("\\") else ""
    return start + _letter(text[0], "") + "".join(_letter(one, _ESCAPES) for one in text[1:])


def _letter(letter: str, escapes: str) -> str:
    """Pattern for a character as is, escaped, or in URL, JSON or HTML encoding."""
    code = ord(letter)
    plain = rf"{escapes}(?:{re.escape(letter)}|x{code:02x}|u00{code:02x})"
    often = ""
    if letter == "\\":  # matches a run of backslashes, each in any encoding
        plain, often = r"\\++(?:x5c|u005c)?", "++"
    named = html.escape(letter)
    others = [rf"%(?:25)*{code:02x}", rf"&#0*{code};?", rf"&#x0*{code:x};?"]
    others += [re.escape(named)] if named != letter else []
    return f"(?:{'|'.join([*others, plain])}){often}"


def _base64(key: str) -> list[str]:
    """The parts of the key's Base64 that are the same wherever the key stands in a text."""
    found = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + key.encode()).decode()
        first, end = -(-before * 8 // 6), (before + len(key)) * 8 // 6
        found.append(encoded[first:end])
    return [*found, *(one.replace("+", "-").replace("/", "_") for one in found)]
