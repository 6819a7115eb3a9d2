"""Values as JSON, exchanged between the tests and the program.

Numbers, texts, bytes and built-in containers go by value; instances of subclasses go as their
base type. All other objects go by reference.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_SMALL = 1 << 53
_CONTAINERS: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_EXACT_NUMBERS = {"Fraction": "fractions", "Decimal": "decimal"}


class MalformedError(Exception):
    """Received JSON that encodes no value."""


def packed(value: Any, reference: Callable[[Any], Any]) -> Any:
    """Encode a value as JSON; `reference` encodes objects that go by reference."""
    if value is None or type(value) in (bool, float):
        return value
    if isinstance(value, bool | int):
        return int(value) if abs(int(value)) < _SMALL else {"int": hex(int(value))}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, list):
        return [packed(item, reference) for item in list.__iter__(value)]
    if isinstance(value, dict):
        items = [[packed(side, reference) for side in item] for item in dict.items(value)]
        return {"dict": items}
    return _packed_rare(value, reference)


def _packed_rare(value: Any, reference: Callable[[Any], Any]) -> Any:
    for name, kind in _CONTAINERS.items():
        if isinstance(value, kind):
            return {name: [packed(item, reference) for item in kind.__iter__(value)]}
    if isinstance(value, bytes | bytearray):
        kind_of_bytes = "bytes" if isinstance(value, bytes) else "bytearray"
        return {kind_of_bytes: bytes(value).decode("latin-1")}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if type(value) is range:
        return {"range": [packed(end, reference) for end in (value.start, value.stop, value.step)]}
    name = type(value).__name__
    if type(value).__module__ == _EXACT_NUMBERS.get(name):
        return {name: str(value)}
    return reference(value)


def unpacked(found: Any, reference: Callable[[str, int], Any]) -> Any:
    """Decode a value from JSON; `reference` resolves references."""
    if found is None or isinstance(found, bool | int | float | str):
        return found
    if isinstance(found, list):
        return [unpacked(item, reference) for item in found]
    if not isinstance(found, dict) or len(found) != 1:
        raise MalformedError(f"no value: {found!r:.80}")
    ((kind, content),) = found.items()
    try:
        return _tagged(kind, content, reference)
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise MalformedError(f"no {kind}: {content!r:.80}") from error


def _tagged(kind: str, content: Any, reference: Callable[[str, int], Any]) -> Any:
    if kind == "dict":
        return {unpacked(key, reference): unpacked(item, reference) for key, item in content}
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](unpacked(item, reference) for item in content)
    if kind == "int":
        return int(content, 16)
    if kind in ("bytes", "bytearray"):
        data = content.encode("latin-1")
        return data if kind == "bytes" else bytearray(data)
    if kind == "complex":
        return complex(*map(float, content))
    if kind == "range":
        return range(*(unpacked(end, reference) for end in content))
    if kind in _EXACT_NUMBERS:
        return getattr(import_module(_EXACT_NUMBERS[kind]), kind)(content)
    if kind in ("mine", "yours") and type(content) is int:
        return reference(kind, content)
    raise MalformedError(f"no kind of value: {kind!r:.80}")
