"""Values stated in a model's files, checked for type and range on reading.

Configurations and metadata are untrusted: a list may stand in place of a number, numbers may be
infinite, and counts may exceed the file's size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, get_args, get_type_hints

from forethought.contracts.errors import DamagedFileError

MOST_COUNT = 1 << 40
"""Above every legitimate count, such as positions of a context."""
_MOST_ITEMS = 1 << 22
_SHOWN = 60  # characters of a wrong value in an error message
_SURROGATE = re.compile("[\ud800-\udfff]")
Record = TypeVar("Record")


@dataclass(frozen=True)
class Claims:
    """The values of a JSON object or of a file's metadata; None counts as missing.

    Readers raise DamagedFileError, with `where`, the key and the value, for a wrong type or range,
    and for a missing value without a default.
    """

    stated: Mapping[str, Any]
    where: str
    """The origin of the values, such as a file's name."""
    hint: str = "fetch the model again"

    def has(self, key: str) -> bool:
        """Whether a value is stated."""
        return self.stated.get(key) is not None

    def count(
        self, key: str, default: int | None = None, *, least: int = 1, most: int = MOST_COUNT
    ) -> int:
        """A whole number within limits."""
        return self._count(key, self._found(key, default), least, most)

    def number(self, key: str, default: float | None = None, *, above: float = -math.inf) -> float:
        """A finite number above a limit."""
        return self._number(key, self._found(key, default), above)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """A boolean."""
        value = self._found(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, value, "true or false")
        return value

    def text(self, key: str, default: str | None = None, *, longest: int = 1 << 10) -> str:
        """A string of at most `longest` characters."""
        return self._text(key, self._found(key, default), longest)

    def maybe_count(self, key: str, *, least: int = 1, most: int = MOST_COUNT) -> int | None:
        """A whole number, or None if it is missing."""
        return self.count(key, least=least, most=most) if self.has(key) else None

    def maybe_number(self, key: str, *, above: float = -math.inf) -> float | None:
        """A finite number, or None if it is missing."""
        return self.number(key, above=above) if self.has(key) else None

    def items(self, key: str, default: Sequence[Any] | None = None) -> Sequence[Any]:
        """A list of any values, or an array."""
        value = self._found(key, default)
        value = value.tolist() if hasattr(value, "tolist") else value
        if not isinstance(value, list | tuple) or len(value) > _MOST_ITEMS:
            raise self.wrong(key, value, f"a list of at most {_MOST_ITEMS:,} values")
        return value

    def counts(self, key: str, *, least: int = 0, most: int = MOST_COUNT) -> list[int]:
        """A list of whole numbers."""
        return [self._count(key, value, least, most) for value in self.items(key)]

    def numbers(self, key: str, *, above: float = -math.inf) -> list[float]:
        """A list of finite numbers."""
        return [self._number(key, value, above) for value in self.items(key)]

    def texts(self, key: str, *, longest: int = 1 << 10) -> list[str]:
        """A list of strings."""
        return [self._text(key, value, longest) for value in self.items(key)]

    def inner(self, key: str) -> Claims:
        """The object under a key; empty if it is missing."""
        value = self._found(key, {})
        if not isinstance(value, Mapping):
            raise self.wrong(key, value, "an object")
        return Claims(value, f"{self.where}, {key}", self.hint)

    def parts(self, key: str) -> list[Claims]:
        """The objects of a list; none if it is missing."""
        single = [Claims({key: value}, self.where, self.hint) for value in self.items(key, ())]
        return [one.inner(key) for one in single]

    def over(self, defaults: Mapping[str, Any]) -> Claims:
        """These claims with defaults for missing keys."""
        return Claims({**defaults, **self.stated}, self.where, self.hint)

    def wrong(self, key: str, value: Any, wanted: str) -> DamagedFileError:
        """The error for an impossible value."""
        return DamagedFileError(
            f"{self.where} states {shortened(value)} for {key!r}, not {wanted}", self.hint
        )

    def _found(self, key: str, default: Any) -> Any:
        value = self.stated.get(key)
        if value is not None:
            return value
        if default is None:
            raise DamagedFileError(f"{self.where} states no {key!r}", self.hint)
        return default

    def _count(self, key: str, value: Any, least: int, most: int) -> int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or not least <= value <= most:
            raise self.wrong(key, value, f"a whole number from {least:,} to {most:,}")
        return int(value)

    def _number(self, key: str, value: Any, above: float) -> float:
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or not above < value or not abs(value) < _BEYOND:
            limit = "" if above == -math.inf else f" above {above:g}"
            raise self.wrong(key, value, f"a finite number{limit}")
        return float(value)

    def _text(self, key: str, value: Any, longest: int) -> str:
        if not isinstance(value, str) or len(value) > longest or _SURROGATE.search(value):
            raise self.wrong(key, value, f"a text of at most {longest:,} characters")
        return value


_BEYOND = (2 - 2**-23) * 2.0**127  # the largest float32; models compute in it or less


def shortened(value: Any) -> str:
    """A value as an error message shows it."""
    if hasattr(value, "__len__") and not isinstance(value, str | bytes):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value):,}"
    if isinstance(value, int) and abs(value) > MOST_COUNT:
        return "a number beyond 2^40"
    text = repr(value[: 2 * _SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def read_record(kind: type[Record], claims: Claims, **made: Any) -> Record:
    """A flat dataclass of numbers, strings, booleans, and tuples or options of those.

    `made` holds fields read elsewhere. Unknown keys are an error: another version wrote them.
    """
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if strange := sorted(map(str, set(claims.stated) - set(known))):
        raise DamagedFileError(
            f"{claims.where} has the unknown key {shortened(strange[0])}", claims.hint
        )
    wanted = [
        name
        for name, field in known.items()
        if name not in made and (name in claims.stated or field.default is MISSING)
    ]
    return kind(**made, **{name: _typed(claims, name, hints[name]) for name in wanted})


def _typed(claims: Claims, key: str, hint: Any) -> Any:
    if hint in _READERS:
        return _READERS[hint](claims, key)
    options = get_args(hint)
    if type(None) in options:
        return _typed(claims, key, options[0]) if claims.has(key) else None
    single = [Claims({key: v}, claims.where, claims.hint) for v in claims.items(key)]
    return tuple(_typed(one, key, options[0]) for one in single)


_READERS: dict[Any, Callable[[Claims, str], Any]] = {
    int: lambda claims, key: claims.count(key, least=0),
    float: lambda claims, key: claims.number(key),
    bool: lambda claims, key: claims.flag(key),
    str: lambda claims, key: claims.text(key),
}
