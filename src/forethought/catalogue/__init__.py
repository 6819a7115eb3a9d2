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

from importlib import import_module
from typing import Any

from forethought.catalogue.places import File, Kind, MethodFile, by_family, files, in_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from forethought.catalogue.building import build, expand, spelled, spelled_open
    from forethought.catalogue.lookup import among, catalogued, entries, entry, families, find
    from forethought.catalogue.source import Entry, Parameter

_HOMES = {
    "Entry": "source",
    "Parameter": "source",
    "among": "lookup",
    "build": "building",
    "catalogued": "lookup",
    "entries": "lookup",
    "entry": "lookup",
    "expand": "building",
    "families": "lookup",
    "find": "lookup",
    "spelled": "building",
    "spelled_open": "building",
}
__all__ = [
    "Entry",
    "File",
    "Kind",
    "MethodFile",
    "Parameter",
    "among",
    "build",
    "by_family",
    "catalogued",
    "entries",
    "entry",
    "expand",
    "families",
    "files",
    "find",
    "in_folder",
    "spelled",
    "spelled_open",
]


def __getattr__(name: str) -> Any:
    # Looked up when first used, since what reads whole files is slow to import.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
