"""Records as JSON documents in strict JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any

MEASURED = ("first_token", "provenance")
"""Fields of a comparison that differ between equal runs."""


def plain(value: Any, without: Collection[str] = ()) -> Any:
    """Convert to plain JSON values: NaN and infinities to null, sets to sorted lists.

    Fields and members of sets named in `without` are dropped.
    """
    if isinstance(value, dict):
        return {
            str(name): plain(one, without) for name, one in value.items() if name not in without
        }
    if isinstance(value, frozenset):
        return sorted(one for one in value if one not in without)
    if isinstance(value, list | tuple):
        return [plain(one, without) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def document(value: Any, without: Collection[str] = ()) -> str:
    """Format a record's dictionary as indented JSON."""
    return json.dumps(plain(value, without), ensure_ascii=False, allow_nan=False, indent=2)


def embedded(values: dict[str, Any], without: Collection[str] = ()) -> str:
    """JSON for a script element, escaped so that no HTML parser ends the element early."""
    found = plain(values, without)
    text = json.dumps(found, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
