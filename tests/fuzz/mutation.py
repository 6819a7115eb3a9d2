"""Changes to bytes and to JSON, each decided by a random generator alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from random import Random
from typing import Any

DEEP = "a place for many brackets"
NUMBERS: tuple[Any, ...] = (
    *(0, 1, 2, 3, -1, 255, 256, 65_535, 1 << 20, 1 << 31, (1 << 31) - 1, 1 << 32, 1 << 40),
    *((1 << 63) - 1, 1 << 64, 10**40, 0.0, -0.0, 0.5, 1e-40, 1e40, 1e308),
    *(float("nan"), float("inf"), float("-inf")),
)
TEXTS = (
    *("", "x", " ", "\0", "é", "\ud800", "\U0001f600", "../x", "/etc/passwd", "a" * 70_000),
    *("default", "none", "null", "llama", "[[", "\ufeff", "%s", "{}"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, [[]], [None], {"a": 1}, [0] * 3, ["a", 1], DEEP),
    *NUMBERS,
    *TEXTS,
)


def changed_bytes(random: Random, data: bytes, other: bytes = b"") -> bytes:
    """The bytes with a few flipped, cut, repeated, inserted or taken from `other`."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        place = random.randrange(len(changed) + 1)
        size = random.choice((1, 2, 4, 8, 64))
        match random.randrange(7):
            case 0 if changed:
                changed[min(place, len(changed) - 1)] ^= 1 << random.randrange(8)
            case 1:
                changed[place : place + size] = random.randbytes(size)
            case 2:
                del changed[place : place + size]
            case 3:
                changed[place:place] = changed[place : place + size]
            case 4:
                changed[place : place + 8] = random.choice((0, 1, 1 << 31, 1 << 62)).to_bytes(
                    8, "little"
                )
            case 5 if other:
                start = random.randrange(len(other))
                changed[place : place + size] = other[start : start + size]
            case _:
                del changed[random.randrange(len(changed) + 1) :]
    return bytes(changed)


def changed_json(random: Random, value: Any, words: Sequence[tuple[str, Any]] = ()) -> Any:
    """A copy of a JSON value with one to three places changed.

    `words` are keys, with values for them, that mean something where the value is read.
    """
    try:
        holder = [copy.deepcopy(value)]
    except RecursionError:  # nested too deep by an earlier change
        return {}
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = [*_places(holder)]
        parent, key = random.choice(places)
        _change(random, parent, key, words)
        if random.random() < 0.2:
            other, theirs = random.choice(places)
            if key in _keys(parent) and theirs in _keys(other) and other is not parent:
                pair = copy.deepcopy((other[theirs], parent[key]))
                parent[key], other[theirs] = pair
    return holder[0]


def _keys(parent: Any) -> Sequence[Any]:
    return range(len(parent)) if isinstance(parent, list) else list(parent)


def _places(parent: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Every place of a value, of long lists and objects a few at each end."""
    keys = list(_keys(parent))
    found = [(parent, key) for key in [*keys[:24], *keys[24:][-4:]]]
    inner = [parent[key] for _, key in found if isinstance(parent[key], list | dict)]
    return found + [place for one in inner if depth < 8 for place in _places(one, depth + 1)]


def _change(random: Random, parent: Any, key: Any, words: Sequence[tuple[str, Any]]) -> None:
    if key not in _keys(parent):
        return
    value = parent[key]
    match random.randrange(8):
        case 0 if isinstance(parent, dict):
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[f"{key}{random.choice('_ sx')}"] = parent.pop(key)
        case 2 if words and isinstance(value, dict):
            name, known = random.choice(words)
            value[name] = random.choice((known, known, random.choice(VALUES)))
        case 3 if words and isinstance(parent, dict):
            name, known = random.choice(words)
            parent[name] = copy.deepcopy(known)
        case 4 | 5:
            parent[key] = _varied(random, value)
        case _:
            parent[key] = random.choice((random.choice(VALUES), [value], {"a": value}, [value] * 4))


def _varied(random: Random, value: Any) -> Any:
    """Another value of the same type, mostly."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return random.choice((value + 1, value - 1, value * 2, -value, *NUMBERS))
    if isinstance(value, list):
        return random.choice((value * 2, value[:-1], value[::-1], [value], value * 50))
    if isinstance(value, str):
        return random.choice((*TEXTS, value[:-1], value * 3, f"{value}\ud800"))
    return random.choice((*NUMBERS, str(value)[:500]))


def written_json(random: Random, value: Any) -> bytes:
    """JSON text as files hold it, sometimes damaged: cut, doubled, or in another encoding."""
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    depth = random.choice((3, 100, 900, 5_000, 100_000))
    text = text.replace(f'"{DEEP}"', "[" * depth + "]" * depth)
    data = text.encode("utf-8", "surrogatepass")
    match random.randrange(40):
        case 0:
            return changed_bytes(random, data)
        case 1:
            return b"\xef\xbb\xbf" + data
        case 2:
            return text.encode("utf-16", "surrogatepass")
        case 3:
            return data[:1] + data[1:-1] + b"," + data[1:-1] + data[-1:]
        case _:
            return data
