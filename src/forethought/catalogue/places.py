"""The files of methods and tasks, in this package and in packages that join it.

Listing reads only the head of each file and takes a few milliseconds.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import PathFinder
from typing import Literal, NamedTuple

from forethought.contracts.errors import DamagedFileError, UsageError
from forethought.contracts.names import plain_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["methods", "strategies", "scorers", "tasks"]
"""Kinds of entries. Tasks have a folder of their own; the family tells the others apart."""
_FAMILIES: dict[str, Kind] = {
    "search": "strategies",
    "scoring": "scorers",
    "confidence": "scorers",
}


class File(NamedTuple):
    """The file of a method or task."""

    name: str
    family: str
    module: str
    path: str

    @property
    def summary(self) -> str:
        """The first paragraph of its docstring."""
        return self.record()[0]

    def record(self) -> tuple[str, dict[str, str]]:
        """The summary and the notes of its docstring."""
        text = text_of(self.path)
        quoted = text.removeprefix('"""').partition('"""') if text.startswith('"""') else ("", "")
        if quoted[1] and "\\" not in quoted[0]:
            return record(quoted[0])
        # Other forms of docstring need the whole file parsed.
        from forethought.catalogue.source import docstring

        return record(docstring(self.path))


class MethodFile(NamedTuple):
    """A package whose folders are families of methods or tasks."""

    package: str
    folder: Path | str

    def files(self) -> Iterator[File]:
        """Its files, sorted by family and name."""
        for family in _visible(self.folder):
            folder = os.path.join(self.folder, family)
            for file in _visible(folder) if os.path.isdir(folder) else []:
                stem, ending = os.path.splitext(file)
                if ending == ".py":
                    module = f"{self.package}.{family}.{stem}"
                    path = os.path.join(folder, file)
                    yield File(plain_name(stem), plain_name(family), module, path)


def _visible(folder: Path | str) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name[0] not in "_.")


def files(kind: Kind) -> dict[str, File]:
    """The files of a kind by name, this package's first."""
    if kind == "tasks":
        return in_folder("tasks")
    found = in_folder("methods")
    return {name: file for name, file in found.items() if _kind(file.family) == kind}


def _kind(family: str) -> Kind:
    return _FAMILIES.get(family, "methods")


@cache
def in_folder(folder: str) -> dict[str, File]:
    """The files below `methods` or `tasks`, by name."""
    own = os.path.join(os.path.dirname(os.path.dirname(__file__)), folder)
    return named([MethodFile(f"forethought.{folder}", own), *_other_places(folder)], folder)


def named(places: Iterable[MethodFile], kind: str) -> dict[str, File]:
    """The files of these packages by name; UsageError if two share a name."""
    found: dict[str, File] = {}
    for file in (file for place in places for file in place.files()):
        if file.name in found:
            raise UsageError(
                f"two {kind} are called {file.name!r}: {found[file.name].path} and {file.path}",
                "rename one, or uninstall the package it comes from",
            )
        found[file.name] = file
    return found


def by_family(kind: Kind) -> dict[str, list[File]]:
    """The files of each family; families and files are sorted by name."""
    grouped: dict[str, list[File]] = {}
    for file in sorted(files(kind).values(), key=lambda file: (file.family, file.name)):
        grouped.setdefault(file.family, []).append(file)
    return grouped


def text_of(path: str) -> str:
    """The text of a source file."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except ValueError as error:
        raise unreadable(path, error) from error


def unreadable(path: str, error: Exception) -> DamagedFileError:
    """The error for a file that does not parse as Python."""
    return DamagedFileError(
        f"{path} is not readable as Python: {error}", "mend it, or rename it to start with _"
    )


def record(docstring: str) -> tuple[str, dict[str, str]]:
    """The summary and the notes of a docstring; a note ends at the next one or a blank line."""
    notes: dict[str, str] = {}
    key = "summary"
    for line in (line.strip() for line in docstring.splitlines()):
        started = re.match(r"([A-Z][a-z]+): (.*)", line) if notes else None
        if started:
            key, line = started[1], started[2]
        elif not line:
            key = ""
        if key:
            notes[key] = f"{notes[key]} {line}" if key in notes else line
    return notes.pop("summary", ""), notes


def _other_places(folder: str) -> Iterator[MethodFile]:
    if not _joined():
        return
    from importlib import metadata, util

    for point in metadata.entry_points(group=f"forethought.{folder}"):
        # Only the top package is looked up: a deeper lookup would import its parents.
        top, *below = point.value.split(".")
        spec = util.find_spec(top)
        for found in (spec and spec.submodule_search_locations) or []:
            yield MethodFile(point.value, os.path.join(found, *below))


def _joined() -> bool:
    """Whether an installed package may declare entry points of this package's groups.

    `importlib.metadata` takes longer to import than everything else together, so the same folders
    are first scanned for the heading of the groups.
    """
    others = [finder for finder in sys.meta_path if finder is not PathFinder]
    if any(hasattr(finder, "find_distributions") for finder in others):
        return True
    return any(_joins(entry or ".") for entry in sys.path)


def _joins(folder: str) -> bool:
    try:
        names = os.listdir(folder)
    except NotADirectoryError:  # an archive: left to `importlib.metadata`
        return True
    except OSError:
        return False
    records = (name for name in names if name.lower().endswith(("dist-info", "egg-info")))
    return any(_declares(os.path.join(folder, name, "entry_points.txt")) for name in records)


def _declares(file: str) -> bool:
    try:
        with open(file, "rb") as opened:
            return b"[forethought." in opened.read()
    except OSError:
        return False
