"""Methods and tasks by name, with all that their source says of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from forethought.catalogue.places import File, Kind, MethodFile, by_family, files, named
from forethought.catalogue.source import Entry, read_entry
from forethought.contracts.errors import UnknownNameError
from forethought.contracts.names import plain_name

_SINGULAR = {"strategies": "strategy"}


def entries(kind: Kind = "methods") -> dict[str, Entry]:
    """Everything of a kind by name, those of this package first."""
    return {name: entry(file) for name, file in files(kind).items()}


def catalogued(places: Sequence[MethodFile], kind: str = "methods") -> dict[str, Entry]:
    """The methods of these places by name; two of one name are an error."""
    return {name: entry(file) for name, file in named(places, kind).items()}


def families(kind: Kind = "methods") -> dict[str, list[Entry]]:
    """The methods of each family, both in order of name."""
    return {name: [entry(file) for file in group] for name, group in by_family(kind).items()}


def find(name: str, kind: Kind = "methods") -> Entry:
    """The entry called `name`, or an error that suggests its neighbours."""
    return among(files(kind), name, singular(kind))


def among(known: dict[str, File], name: str, kind: str) -> Entry:
    """The entry called `name` among these files; only that one is read."""
    if plain(name) not in known:
        raise UnknownNameError.among(kind, name, known)
    return entry(known[plain(name)])


def singular(kind: Kind) -> str:
    """What one of a kind is called."""
    return _SINGULAR.get(kind, kind.removesuffix("s"))


def plain(name: str) -> str:
    """A name as the catalogue spells it."""
    return plain_name(name.strip().lower())


@cache
def entry(file: File) -> Entry:
    """All that a file says of its method or task."""
    return read_entry(Path(file.path), file.module)
