"""Parameter types of methods: each carries its limits, and `checked` enforces them."""

from __future__ import annotations

import re
from dataclasses import Field, dataclass, fields
from inspect import get_annotations
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from forethought.contracts.errors import BadParameterError
from forethought.contracts.names import method_name, plain_name


@dataclass(frozen=True)
class Range:
    """An inclusive range of numbers."""

    low: float
    high: float

    def problem(self, value: object) -> str:
        """What is wrong with `value`, or nothing."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        if value > self.high >= 1 << 20:
            return f"must be {self.high:,} or less"
        return "" if self.low <= value <= self.high else f"must be {_range(self)}"


@dataclass(frozen=True)
class Whole(Range):
    """Whole numbers in a range."""

    def problem(self, value: object) -> str:
        """What is wrong with `value`, or nothing."""
        if isinstance(value, bool) or not isinstance(value, int):
            return "must be a whole number"
        return super().problem(value)


@dataclass(frozen=True)
class Odd(Whole):
    """Odd whole numbers in a range."""

    def problem(self, value: object) -> str:
        """What is wrong with `value`, or nothing."""
        found = super().problem(value)
        return found or ("" if int(str(value)) % 2 else "must be odd")


@dataclass(frozen=True)
class Filled:
    """A text that is not empty."""

    def problem(self, value: object) -> str:
        """What is wrong with `value`, or nothing."""
        return "" if isinstance(value, str) and value else "must be a text that is not empty"


_SIZE = re.compile(r"(\d+(?:\.\d+)?)([kMGT]i?)?B", re.ASCII)
_FACTORS = {None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
            "ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """An int counts entries, a float up to 1.0 is a share, a string counts bytes."""

    def problem(self, value: object) -> str:
        """What is wrong with `value`, or nothing."""
        if isinstance(value, str):
            fits = _SIZE.fullmatch(value) and bytes_of(value)
            return "" if fits else f"must be {in_words(self)}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        if isinstance(value, int):
            return "" if value >= 1 else "must be at least 1 (or a share such as 0.25)"
        return "" if 0 < value <= 1 else "must be a share from 0 to 1, or a whole number"


_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class FileIn:
    """The name of a file in a folder of this package: a new file is a new option."""

    folder: str

    def names(self) -> list[str]:
        """The names of the files."""
        stems = [path.stem for path in (_PACKAGE / self.folder).glob("*.py")]
        return sorted(plain_name(stem) for stem in stems if stem[0] != "_")

    def problem(self, value: object) -> str:
        """What is wrong with `value`, or nothing."""
        names = self.names()
        return "" if value in names else f"must be one of {', '.join(names)}"


Count = Annotated[int, Whole(1, 1 << 20)]
CountOrZero = Annotated[int, Whole(0, 1 << 20)]
DraftLength = Annotated[int, Whole(1, 64)]
"""Tokens that are drafted at once: other sequences wait meanwhile."""
OddCount = Annotated[int, Odd(1, 1 << 20)]
Share = Annotated[float, Range(0, 1)]
Delimiter = Annotated[str, Filled()]
"""Text that ends a step."""
Amount = int | float | str
"""Entries, a share, or bytes such as `8MiB`."""
Keep = Annotated[Amount, Budget()]


def bytes_of(size: str) -> int:
    """The bytes of a size such as `8MiB` or `500kB`."""
    found = _SIZE.fullmatch(size)
    assert found, "checked before"
    return int(float(found[1]) * _FACTORS[found[2]])


def entries_kept(keep: Amount, of: int) -> int:
    """The number of entries that a Keep allows out of `of`: at least one, at most `of`.

    A size in bytes allows all: only the model's shape turns bytes into entries.
    """
    if isinstance(keep, str):
        return of
    wanted = keep if isinstance(keep, int) else round(keep * of)
    return max(1, min(int(wanted), of))


def in_words(limit: object) -> str:
    """The values that a limit allows, in words."""
    match limit:
        case Odd():
            return f"an odd number, {_range(limit)}"
        case Whole():
            return f"a whole number, {_range(limit)}"
        case Range():
            return f"a number, {_range(limit)}"
        case FileIn():
            return " or ".join(limit.names())
        case Filled():
            return "text"
    return "a whole number, a share such as 0.25, or bytes such as 8MiB"


def _range(limit: Range) -> str:
    # The highest count there is says nothing to a reader.
    return f"{limit.low:,} or more" if limit.high >= 1 << 20 else f"{limit.low:,} to {limit.high:,}"


def settings_of(method: type[Any]) -> list[Field[Any]]:
    """The settings of a method or task in the order of `show` and of spellings.

    A base class's settings come before those of the class itself, keyword-only ones after them.
    """
    left = {field.name: field for field in fields(method)}
    first: list[Field[Any]] = []
    last: list[Field[Any]] = []
    for kind in method.__mro__:  # a setting declared again takes its new place
        own = [left.pop(name) for name in get_annotations(kind) if name in left]
        first = [*(field for field in own if not field.kw_only), *first]
        last += [field for field in own if field.kw_only]
    return first + last


def checked(method: type[Any], settings: dict[str, Any]) -> Any:
    """A `method` built from `settings`; raises BadParameterError for a wrong value."""
    known = [field.name for field in settings_of(method)]
    name = method_name(method)
    for key in settings:
        if key not in known:
            listed = f"it has: {', '.join(known)}" if known else f"write {name} alone"
            raise BadParameterError(f"{name} has no parameter {key!r}", listed)
    hints = get_type_hints(method, include_extras=True)
    named = {key for key, hint in hints.items() if "none" in get_args(hint)}
    # One of several words may be none, which elsewhere is no value.
    built = method(**{k: "none" if v is None and k in named else v for k, v in settings.items()})
    for key in known:
        if problem := _problem(hints[key], getattr(built, key)):
            raise BadParameterError(
                f"{name}: {key}={getattr(built, key)!r} {problem}",
                f"see: forethought show {name}",
            )
    return built


def _problem(hint: Any, value: object) -> str:
    if get_origin(hint) is Literal:
        options = get_args(hint)
        return "" if value in options else f"must be one of {', '.join(map(str, options))}"
    if get_origin(hint) is Annotated:
        limits = [note for note in get_args(hint)[1:] if hasattr(note, "problem")]
        return next((found for note in limits if (found := note.problem(value))), "")
    arms = get_args(hint)
    if value is None and type(None) in arms:
        return ""
    if arms:
        problems = [_problem(arm, value) for arm in arms if arm is not type(None)]
        return "" if "" in problems else problems[0]
    return "" if isinstance(value, hint) else f"must be of type {hint.__name__}"
