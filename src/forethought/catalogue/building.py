"""Builds methods and tasks from their spellings, and spells them."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from typing import Any

from forethought.catalogue.lookup import find, plain, singular
from forethought.catalogue.places import Kind, by_family, files
from forethought.catalogue.source import Entry
from forethought.contracts import parameters, spelling
from forethought.contracts.errors import BadParameterError, UnknownNameError
from forethought.contracts.names import method_name

_ASIDE = ("count", "skip_bad", "sandbox")
"""Settings of a task that change neither its questions nor their scores."""


def build(text: str, kind: Kind = "methods") -> Any:
    """Build a method from its spelling, such as `specpc(keep=512, reduction=mean)`."""
    call = spelling.parse(text)
    return _built(find(call.name, kind), call.settings)


def expand(text: str, kind: Kind = "tasks") -> dict[str, Any]:
    """Build every member that `text` spells, by shortest spelling; a family stands for all members.

    `ruler(tokens=4000)` builds every task of that family with that setting.
    """
    call = spelling.parse(text)
    known, grouped = files(kind), by_family(kind)
    name = plain(call.name)
    if name not in known.keys() | grouped.keys():
        raise UnknownNameError.among(singular(kind), call.name, [*grouped, *known])
    members = [name] if name in known else [file.name for file in grouped[name]]
    built = [_built(find(member, kind), call.settings) for member in members]
    return {spelled(item): item for item in built}


def spelled(method: Any) -> str:
    """The shortest spelling of a method or task, with the settings that differ from defaults."""
    settings = parameters.settings_of(type(method))
    values = {item.name: getattr(method, item.name) for item in settings}
    # Compare by repr: keep=1 (one entry) and keep=1.0 (all entries) are equal as numbers.
    changed = {
        item.name: values[item.name]
        for item in settings
        if item.default is MISSING or repr(item.default) != repr(values[item.name])
    }
    return str(spelling.Call(method_name(type(method)), changed))


def spelled_open(task: Any) -> str:
    """A task's spelling without `count`, `skip_bad` and `sandbox`.

    These settings do not change a question, so samples stay valid under the same name.
    """
    left = {f.name: f.default for f in fields(task) if f.name in _ASIDE}
    return spelled(replace(task, **left))


def _built(entry: Entry, settings: dict[str, Any]) -> Any:
    for parameter in entry.parameters:
        if not parameter.default and parameter.name not in settings:
            raise BadParameterError(
                f"{entry.name} needs {parameter.name}: {parameter.help}",
                f"give it: {entry.name}({parameter.name}=...)",
            )
    return parameters.checked(entry.load(), settings)
