"""Keeps requests from naming files, folders, servers and models beyond those of the server.

Checks work on the spelling of a method, before it is built: building one may read a file.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import MISSING, Field, dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from forethought import catalogue
from forethought.catalogue import Entry, Kind
from forethought.catalogue.lookup import singular
from forethought.contracts import parameters, spelling
from forethought.contracts.errors import BadParameterError, UnfitError
from forethought.recipes.recipe import is_auto

_HARMLESS = {"delimiter", "digest", "force", "language", "prompt", "system", "tag", "value"}
"""Parameters of free text that name nothing outside of the request."""
_NESTED: dict[str, Kind] = {"then": "strategies"}
"""Parameters that are spellings themselves."""
_WIDTHS = {"n", "width", "branch", "groups", "trees", "chains", "iterations", "rounds", "orders"}
_WIDTHS |= {"samples", "changes", "judges", "goals", "batch", "temperatures"}
"""Parameters of strategies and confidence methods that multiply answers."""
_WIDE = ("search", "confidence")
_EXAMPLES = {"methods": "specpc(keep=512)", "strategies": "majority-vote", "scorers": "likelihood"}
_LONGEST = 2000
_TASKS_ONLY = {"checker", "noisy-checker", "unit-tests"}


class NotAllowedError(UnfitError):
    """A name that requests may not use."""


@dataclass(frozen=True)
class AllowedNames:
    """The resources that spellings of requests may name, and the widest search."""

    names: Collection[str]
    widest: int = 64

    def check(self, text: str, kind: Kind = "methods") -> None:
        """Raise for a method with a resource outside of the names, or a search that is too wide."""
        if len(text) > _LONGEST:
            raise BadParameterError(
                f"a method's spelling has {len(text):,} characters", "write a shorter one"
            )
        if kind == "methods" and is_auto(text):
            return
        if not text.strip():
            raise BadParameterError(f"no {singular(kind)} is named", f"such as {_EXAMPLES[kind]}")
        call = spelling.parse(text)
        entry = catalogue.find(call.name, kind)
        if entry.name in _TASKS_ONLY:
            raise NotAllowedError(
                f"{entry.name} needs a task's questions, and a request has none",
                "use another scorer, such as likelihood or self-judge",
            )
        for parameter in parameters.settings_of(entry.load()):
            if parameter.name in call.settings:
                self._check_value(entry, parameter, call.settings[parameter.name])
            elif self._is_outside(entry, parameter.name, parameter.default):
                raise _not_served(entry, parameter, kind)

    def _check_value(self, entry: Entry, parameter: Field[Any], value: Any) -> None:
        name = parameter.name
        if name in _NESTED and isinstance(value, str):
            self.check(value, _NESTED[name])
        elif entry.family in _WIDE and name in _WIDTHS and isinstance(value, int):
            self._check_width(entry, name, value)
        elif self._is_outside(entry, name, value):
            usable = not self._is_outside(entry, name, parameter.default)
            raise NotAllowedError(
                f"{entry.name}: {name}={value!r} is not among the models of this server",
                f"{f'leave {name} out, or ' if usable else ''}use a model of GET /v1/models",
            )

    def _is_outside(self, entry: Entry, name: str, value: Any) -> bool:
        """Whether a value names a resource that requests may not use; "" and none name nothing."""
        free = name not in _HARMLESS and name not in _NESTED and _is_free_text(entry, name)
        return free and value not in ("", None) and value not in self.names

    def _check_width(self, entry: Entry, name: str, value: int) -> None:
        if value > self.widest:
            raise BadParameterError(
                f"{entry.name}: {name}={value:,} is more than this server allows",
                f"use {self.widest} at most",
            )


def _not_served(entry: Entry, parameter: Field[Any], kind: Kind) -> NotAllowedError:
    """The error of a method whose default resource requests may not use."""
    default, other = parameter.default, f"use another {singular(kind)}"
    if default is MISSING:
        return NotAllowedError(f"{entry.name} needs {parameter.name}, and none is given", other)
    return NotAllowedError(
        f"{entry.name} uses {parameter.name}={default!r}, which this server does not have", other
    )


def _is_free_text(entry: Entry, name: str) -> bool:
    """Whether a parameter takes any text: its type is neither a number nor a choice."""
    return _takes_text(get_type_hints(entry.load(), include_extras=True)[name])


def _takes_text(hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return False
    if get_origin(hint) is Annotated:
        limited = any(hasattr(note, "problem") for note in get_args(hint)[1:])
        return not limited and _takes_text(get_args(hint)[0])
    arms = get_args(hint)
    return any(map(_takes_text, arms)) if arms else hint not in (int, float, bool, type(None))
