"""Records as JSON documents that every reader takes."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any

MEASURED = ("first_token", "provenance")
"""What of a comparison no second run repeats."""


def plain(value: Any, without: Collection[str] = ()) -> Any:
    """Values that JSON knows: null for what is no number, and sets in order.

    Fields and members of sets that are named in `without` are left out.
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
    """A record's dictionary as an indented JSON document."""
    return json.dumps(plain(value, without), ensure_ascii=False, allow_nan=False, indent=2)


def embedded(values: dict[str, Any], without: Collection[str] = ()) -> str:
    """JSON that no HTML parser takes for the end of its element."""
    found = plain(values, without)
    text = json.dumps(found, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
