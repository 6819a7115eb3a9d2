"""Strikes a key out of whatever a server sends, however the server spells it."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass, field
from typing import Any, TypeVar

from forethought.backends.openai.shape import ShapeError
from forethought.contracts.errors import ForethoughtError

Error = TypeVar("Error", bound=ForethoughtError)
STRUCK = "***"
_DEEPEST = 100
"""Levels of a document; a reply has about eight."""
_ESCAPES = r"\\*+"
_LEAST, _SURE = 8, 16
"""Characters of a key that is no word such as EMPTY: with a digit, and without one."""
_LONGEST = 64
"""Characters of a key that are looked for; what follows them goes with them."""


@dataclass(frozen=True)
class Scrubber:
    """One key, and all of its spellings."""

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
        """Whether the key cannot stand in an answer by chance, as EMPTY or none may."""
        size = len(self.key)
        return size >= _SURE or (size >= _LEAST and any(map(str.isdigit, self.key)))

    def text(self, text: str) -> str:
        """The text, which is about to be shown."""
        return self._pattern.sub(STRUCK, text) if self._pattern else text

    def answer(self, text: str) -> str:
        """The text of an answer: words that are used as keys stay."""
        return self.text(text) if self.secret else text

    def error(self, error: Error) -> Error:
        """An error of the same kind, without the key and without what it arose from."""
        return type(error)(self.text(error.message), self.text(error.hint))

    def document(self, document: Any) -> Any:
        """The parsed document, changed in place; ShapeError where it is nested beyond reason."""
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
    """Matches a key, also cut short or encoded, wherever it stands."""
    whole = [*_base64(key), key.encode().hex()]
    key = _with_single_backslashes(key)
    size = min(_LONGEST, max(_LEAST, -(-2 * len(key) // 3)))
    rest = "".join(f"{_letter(letter, _ESCAPES)}?" for letter in key[size:_LONGEST])
    tail = r"[\w.~+/=%&#;\\-]*" if len(key) > _LONGEST else ""
    spelled = _letters(key[:size]) + rest + tail
    return "|".join([spelled, *(re.escape(one) for one in whole)])


def _word(key: str) -> str:
    """Matches a key that may be a word, where it stands alone."""
    return f"(?<![a-z0-9]){_letters(_with_single_backslashes(key))}(?![a-z0-9])"


def _with_single_backslashes(key: str) -> str:
    """A run of backslashes matches any other, since escapes double them."""
    return re.sub(r"\\+", r"\\", key)


def _letters(text: str) -> str:
    """Matches these characters, but no backslashes before the first.

    Tried at each of many backslashes, they would take steps that grow with their square.
    """
    start = r"(?<!\\)" if text.startswith("\\") else ""
    return start + _letter(text[0], "") + "".join(_letter(one, _ESCAPES) for one in text[1:])


def _letter(letter: str, escapes: str) -> str:
    """Matches a character as it is, escaped, or as a URL, JSON and HTML write it."""
    code = ord(letter)
    plain = rf"{escapes}(?:{re.escape(letter)}|x{code:02x}|u00{code:02x})"
    often = ""
    if letter == "\\":  # it stands for a run of them, each spelled in its own way
        plain, often = r"\\++(?:x5c|u005c)?", "++"
    named = html.escape(letter)
    others = [rf"%(?:25)*{code:02x}", rf"&#0*{code};?", rf"&#x0*{code:x};?"]
    others += [re.escape(named)] if named != letter else []
    return f"(?:{'|'.join([*others, plain])}){often}"


def _base64(key: str) -> list[str]:
    """What of the key's bytes stands in any text that is encoded with the key inside it."""
    found = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + key.encode()).decode()
        first, end = -(-before * 8 // 6), (before + len(key)) * 8 // 6
        found.append(encoded[first:end])
    return [*found, *(one.replace("+", "-").replace("/", "_") for one in found)]
