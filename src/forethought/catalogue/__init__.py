"""Finds methods and tasks by name: the folders under methods/ and tasks/ are the registry.

The family `search` holds strategies and `scoring` holds scorers; all others hold methods that
approximate.

File name = name of the method, folder = family, the file's one public class = the method, and
the file's docstring is its record: a summary, then notes such as `Paper:`. Listing reads
source text and imports no method; building imports exactly the one module that was named.
Other packages join by an entry point of the group `forethought.methods` or
`forethought.tasks`, whose value names a package with the same folders. A file whose name
starts with _ is not listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

from forethought.catalogue.source import Entry, Parameter, plain_name, read_entry
from forethought.contracts import parameters, spelling
from forethought.contracts.errors import BadParameterError, UnknownNameError, UsageError

__all__ = ["Entry", "Kind", "Parameter", "Place"]

Kind = Literal["methods", "strategies", "scorers", "tasks"]
"""What is looked for. Tasks have a folder of their own; the rest is told by its family."""
_FAMILIES: dict[str, Kind] = {"search": "strategies", "scoring": "scorers"}
_SINGULAR = {"strategies": "strategy"}


@dataclass(frozen=True)
class Place:
    """A package whose folders are families of methods or tasks."""

    package: str
    folder: Path

    def entries(self) -> Iterator[Entry]:
        """Everything in its folders, in order of family and name."""
        for path in sorted(self.folder.glob("[!_]*/[!_]*.py")):
            yield read_entry(path, f"{self.package}.{path.parent.name}.{path.stem}")


def entries(kind: Kind = "methods") -> dict[str, Entry]:
    """Everything of a kind by name, those of this package first."""
    folder = "tasks" if kind == "tasks" else "methods"
    found = in_folder(folder)
    return {name: entry for name, entry in found.items() if _kind(entry, folder) == kind}


@cache
def in_folder(folder: str) -> dict[str, Entry]:
    """Everything below `methods` or `tasks`, by name."""
    own = Place(f"forethought.{folder}", Path(__file__).parent.parent / folder)
    return catalogued([own, *_other_places(folder)], folder)


def _kind(entry: Entry, folder: str) -> str:
    return "tasks" if folder == "tasks" else _FAMILIES.get(entry.family, "methods")


def catalogued(places: list[Place], kind: str = "methods") -> dict[str, Entry]:
    """The methods of these places by name; two of one name are an error."""
    found: dict[str, Entry] = {}
    for entry in (entry for place in places for entry in place.entries()):
        if entry.name in found:
            raise UsageError(
                f"two {kind} are called {entry.name!r}: {found[entry.name].path} and {entry.path}",
                "rename one, or uninstall the package it comes from",
            )
        found[entry.name] = entry
    return found


def families(kind: Kind = "methods") -> dict[str, list[Entry]]:
    """The methods of each family, both in order of name."""
    grouped: dict[str, list[Entry]] = {}
    for entry in sorted(entries(kind).values(), key=lambda entry: (entry.family, entry.name)):
        grouped.setdefault(entry.family, []).append(entry)
    return grouped


def find(name: str, kind: Kind = "methods") -> Entry:
    """The entry called `name`, or an error that suggests its neighbours."""
    known = entries(kind)
    if _plain(name) not in known:
        raise UnknownNameError.among(_singular(kind), name, known)
    return known[_plain(name)]


def _singular(kind: Kind) -> str:
    return _SINGULAR.get(kind, kind.removesuffix("s"))


def build(text: str, kind: Kind = "methods") -> Any:
    """A method from its spelling, such as `specpc(keep=512, reduction=mean)`."""
    call = spelling.parse(text)
    return _built(find(call.name, kind), call.settings)


def expand(text: str, kind: Kind = "tasks") -> dict[str, Any]:
    """What `text` spells, by shortest spelling; a family's name stands for all of its members.

    `ruler(tokens=4000)` gives every task of that family with that setting.
    """
    call = spelling.parse(text)
    known, grouped = entries(kind), families(kind)
    if _plain(call.name) not in known.keys() | grouped.keys():
        raise UnknownNameError.among(_singular(kind), call.name, [*grouped, *known])
    single = known.get(_plain(call.name))
    members = [single] if single else grouped[_plain(call.name)]
    built = [_built(entry, call.settings) for entry in members]
    return {spelled(item): item for item in built}


def spelled(method: Any) -> str:
    """The shortest spelling of a method or task: only what differs from its defaults."""
    values = {item.name: getattr(method, item.name) for item in fields(method)}
    # By repr, since keep=1 (one entry) and keep=1.0 (all of them) are equal as numbers.
    changed = {
        item.name: values[item.name]
        for item in fields(method)
        if item.default is MISSING or repr(item.default) != repr(values[item.name])
    }
    return str(spelling.Call(plain_name(type(method).__module__.rpartition(".")[2]), changed))


def spelled_open(task: Any) -> str:
    """A task's spelling without how many of its questions are asked, or what is left out.

    More questions keep the first ones, so that they go by the same name.
    """
    left = {f.name: f.default for f in fields(task) if f.name in ("count", "skip_bad")}
    return spelled(replace(task, **left))


def _built(entry: Entry, settings: dict[str, Any]) -> Any:
    for parameter in entry.parameters:
        if not parameter.default and parameter.name not in settings:
            raise BadParameterError(
                f"{entry.name} needs {parameter.name}: {parameter.help}",
                f"give it: {entry.name}({parameter.name}=...)",
            )
    return parameters.checked(entry.load(), settings)


def _other_places(folder: str) -> Iterator[Place]:
    for point in metadata.entry_points(group=f"forethought.{folder}"):
        # Only the topmost package is looked up: finding a deeper one would import its parents.
        top, *below = point.value.split(".")
        spec = util.find_spec(top)
        for folder in (spec and spec.submodule_search_locations) or []:
            yield Place(point.value, Path(folder).joinpath(*below))


def _plain(name: str) -> str:
    return plain_name(name.strip().lower())
