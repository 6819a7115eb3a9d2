"""Shell completion: verbs, options, and names of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from forethought import catalogue
from forethought.cli.grammar import HELP, Option
from forethought.cli.verbs import table


def complete(
    words: Sequence[str], verbs: Mapping[str, str], flags: Iterable[Option[Any]]
) -> list[str]:
    """Completions of the last word after `forethought`; none for a file name."""
    *before, word = words or [""]
    named = bool(before) and before[0] in verbs
    verb = table(before[0] if named else "ask")
    known = [*verb.options, HELP, *([] if before else flags)]
    awaited = _awaited(known, before[named:])
    if awaited is not None:
        found = _names(awaited)
    elif word.startswith("-"):
        found = [spelling for option in known for spelling in option.spellings]
    else:
        found = [*([] if before else verbs), *(_names(verb.argument) if verb.argument else [])]
    return [one for one in found if one.startswith(word)]


def _awaited(known: Iterable[Option[Any]], before: Sequence[str]) -> Option[Any] | None:
    """The option whose value the cursor is at."""
    last = before[-1] if before else ""
    return next((one for one in known if one.takes and last in one.spellings), None)


def _names(option: Option[Any]) -> list[str]:
    return _KNOWN[option.among]() if option.among else []


def _models() -> list[str]:
    # Imported late: the module that fetches models is slow to import.
    from forethought.models.sources.wheel import WHEEL_MODELS

    return list(WHEEL_MODELS)


def _hardware() -> list[str]:
    from forethought.cost.hardware import HERE, TABLE

    return [*TABLE, HERE]


def _of(*kinds: catalogue.Kind) -> Callable[[], list[str]]:
    return lambda: [name for kind in kinds for name in catalogue.files(kind)]


def _families() -> list[str]:
    kinds: tuple[catalogue.Kind, ...] = ("methods", "strategies", "scorers", "tasks")
    return [*(name for kind in kinds for name in catalogue.by_family(kind)), *kinds, "models"]


_KNOWN: Mapping[str, Callable[[], list[str]]] = {
    "methods": _of("methods"),
    "strategies": _of("strategies"),
    "scorers": _of("scorers"),
    "tasks": lambda: [*catalogue.by_family("tasks"), *catalogue.files("tasks")],
    "recipes": _of("methods", "strategies"),
    "names": _of("methods", "strategies", "scorers", "tasks"),
    "families": _families,
    "models": _models,
    "hardware": _hardware,
}
