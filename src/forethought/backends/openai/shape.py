"""Checked access to the values of a server's reply."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

Kind = TypeVar("Kind")

_ABOVE_0 = 1e-3
"""Rounding may put a log-probability this far above 0."""
_FARTHEST = 1e6
"""Log-probabilities below the negative of this are invalid."""
_MOST = 10**9
"""Most tokens of a prompt or an answer, beyond any model's context."""


class ShapeError(ValueError):
    """A part of a reply has an impossible type or value."""

    def __init__(self, found: object, wanted: str) -> None:
        super().__init__(f"{reprlib.repr(found)[:80]} where {wanted} belongs")


def object_of(found: object) -> Mapping[str, Any]:
    """An object; empty if the value is missing."""
    return _of(found or {}, dict, "an object")


def list_of(found: object) -> Sequence[Any]:
    """A list; empty if the value is missing."""
    return _of(found or [], list, "a list")


def text_of(found: object) -> str:
    """A string, or the text parts of a list joined; lone surrogates become replacement
    characters."""
    if isinstance(found, list):
        return "".join(text_of(object_of(part).get("text")) for part in found)
    text = _of(found or "", str, "a text")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def count_of(found: object) -> int | None:
    """A count; None if the value is missing."""
    if found is None:
        return None
    whole = int(found) if isinstance(found, float) and found.is_integer() else found
    if isinstance(whole, bool) or not isinstance(whole, int) or not 0 <= whole <= _MOST:
        raise ShapeError(found, "a count")
    return whole


def log_probability_of(found: object) -> float:
    """A log-probability; 0 if the value is missing, as for a prompt's first token."""
    if found is None:
        return 0.0
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ShapeError(found, "a log-probability")
    if found > _ABOVE_0 or not found >= -_FARTHEST:  # written so that NaN fails too
        raise ShapeError(found, "a log-probability")
    return min(0.0, float(found))


def _of(found: object, kind: type[Kind], wanted: str) -> Kind:
    if not isinstance(found, kind):
        raise ShapeError(found, wanted)
    return found
