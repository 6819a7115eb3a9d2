"""What stands in a server's reply, looked at before it is used."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

Kind = TypeVar("Kind")

_ABOVE_0 = 1e-3
"""Log-probabilities are this much above 0 at most: by rounding."""
_FARTHEST = 1e6
"""And this much below."""
_MOST = 10**9
"""Tokens of a prompt or an answer, beyond what any model takes."""


class ShapeError(ValueError):
    """A part of a reply is nothing that such a reply can hold."""

    def __init__(self, found: object, wanted: str) -> None:
        super().__init__(f"{reprlib.repr(found)[:80]} where {wanted} belongs")


def object_of(found: object) -> Mapping[str, Any]:
    """An object; an empty one where there is nothing."""
    return _of(found or {}, dict, "an object")


def list_of(found: object) -> Sequence[Any]:
    """A list; an empty one where there is nothing."""
    return _of(found or [], list, "a list")


def text_of(found: object) -> str:
    """A text, which may come in parts; what is half a character there is shown as none.

    Parts of another kind than text are left out.
    """
    if isinstance(found, list):
        return "".join(text_of(object_of(part).get("text")) for part in found)
    text = _of(found or "", str, "a text")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def count_of(found: object) -> int | None:
    """A count; None where there is none."""
    if found is None:
        return None
    whole = int(found) if isinstance(found, float) and found.is_integer() else found
    if isinstance(whole, bool) or not isinstance(whole, int) or not 0 <= whole <= _MOST:
        raise ShapeError(found, "a count")
    return whole


def chance_of(found: object) -> float:
    """The logarithm of a chance; 0 where there is none, as before the first token of all."""
    if found is None:
        return 0.0
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ShapeError(found, "a log-probability")
    if found > _ABOVE_0 or not found >= -_FARTHEST:  # what is no number is not above either
        raise ShapeError(found, "a log-probability")
    return min(0.0, float(found))


def _of(found: object, kind: type[Kind], wanted: str) -> Kind:
    if not isinstance(found, kind):
        raise ShapeError(found, wanted)
    return found
