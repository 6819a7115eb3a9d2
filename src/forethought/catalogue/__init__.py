"""The catalogue of methods and tasks: the folders methods/ and tasks/ are the registry.

The file name is the name of the method, the folder its family, and the one public class its
implementation. The module docstring is the record: a summary, then notes such as `Paper:`. The
family `search` holds strategies, `scoring` holds scorers, and all others hold approximations.
Files whose name starts with _ are not listed.

Listing reads source text and imports no method; building imports only the named module. Other
packages join through an entry point of the group `forethought.methods` or `forethought.tasks`,
whose value names a package with the same folders.
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
    # Imported on first use: the modules that parse source are slow to import.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
