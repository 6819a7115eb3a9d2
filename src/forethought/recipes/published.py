"""Whether a recipe is as published, from its spelling and the records of its methods."""

from __future__ import annotations

from collections.abc import Iterator

from forethought import catalogue
from forethought.contracts import spelling
from forethought.contracts.errors import UsageError
from forethought.contracts.published import PROTECT, Published
from forethought.contracts.sources import NO_METHOD

FREE = {"keep", "prompt_keep", "n", "groups", "trees", "seed", "classifier", "encoder", "model",
         "server", "plan", "digest", "heads", "predictor"}  # fmt: skip
"""Budgets, which papers vary, and resources."""
_SEARCHING = ("search", "scoring", "confidence")
_RANK = ("", "ours", "code", "paper", "baseline")


def published(label: str) -> Published:
    """The standing of the recipe with this label: that of its least published part.

    Several approximations together are ours, whatever each of them is.
    """
    try:
        parts = list(_parts(label))
    except UsageError:  # the name of a method or a spelling of another version
        return Published()
    found = min((entry.published for entry, _ in parts), key=_RANK.index, default=NO_METHOD)
    if found and sum(entry.family not in _SEARCHING for entry, _ in parts) > 1:
        found = "ours"
    changed = [name for entry, settings in parts for name in _changed(entry, settings)]
    return Published(found, tuple(dict.fromkeys(changed)))


def unprotected(text: str) -> str:
    """The spelling of a method without `protect`, if it has that setting."""
    call = spelling.parse(text)
    if not catalogue.find(call.name).has(PROTECT):
        return text
    return str(spelling.Call(call.name, {**call.settings, PROTECT: False}))


def _parts(label: str) -> Iterator[tuple[catalogue.Entry, dict[str, str]]]:
    """The record and the stated settings of each method, strategy and scorer."""
    plain, *searching = spelling.split(label.partition(" --")[0], "@")
    methods = [part for part in spelling.split(plain, "+")[1:] if not part.startswith("draft(")]
    kinds: tuple[catalogue.Kind, ...] = ("strategies", "scorers")
    named = zip(kinds, searching, strict=False)
    for kind, text in (*(("methods", one) for one in methods), *named):
        call = spelling.parse(text)
        settings = {name: spelling.written(value) for name, value in call.settings.items()}
        yield catalogue.find(call.name, kind), settings


def _changed(entry: catalogue.Entry, settings: dict[str, str]) -> Iterator[str]:
    for parameter in entry.parameters:
        value = settings.get(parameter.name, parameter.default)
        published = "false" if parameter.name == PROTECT else parameter.default
        if parameter.name not in FREE and value != published:
            yield parameter.name
