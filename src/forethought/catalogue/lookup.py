"""Lookup of methods and tasks by name, with the record that their source holds."""

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
    """All entries of a kind by name, this package's first."""
    return {name: entry(file) for name, file in files(kind).items()}


def catalogued(places: Sequence[MethodFile], kind: str = "methods") -> dict[str, Entry]:
    """The entries of these packages by name; UsageError if two share a name."""
    return {name: entry(file) for name, file in named(places, kind).items()}


def families(kind: Kind = "methods") -> dict[str, list[Entry]]:
    """The entries of each family; families and entries are sorted by name."""
    return {name: [entry(file) for file in group] for name, group in by_family(kind).items()}


def find(name: str, kind: Kind = "methods") -> Entry:
    """The entry called `name`; UnknownNameError suggests similar names."""
    return among(files(kind), name, singular(kind))


def among(known: dict[str, File], name: str, kind: str) -> Entry:
    """The entry called `name` among these files; only its file is read."""
    if plain(name) not in known:
        raise UnknownNameError.among(kind, name, known)
    return entry(known[plain(name)])


def singular(kind: Kind) -> str:
    """The singular of a kind."""
    return _SINGULAR.get(kind, kind.removesuffix("s"))


def plain(name: str) -> str:
    """The catalogue's spelling of a name."""
    return plain_name(name.strip().lower())


@cache
def entry(file: File) -> Entry:
    """The entry that a file declares."""
    return read_entry(Path(file.path), file.module)
