"""Short names of recipes and tasks that stand beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts import spelling
from forethought.contracts.errors import UsageError

EXACT = "exact"


@dataclass(frozen=True)
class Names:
    """Short names in the order of the spellings they stand for, all of them different."""

    short: tuple[str, ...]
    shared: tuple[str, ...] = ()
    """What was left out of every name, to be said once."""


def recipe_names(recipes: Sequence[str]) -> Names:
    """Recipes without the model and the draft they share; without methods it is `exact`."""
    split = [_parts(recipe) for recipe in recipes]
    models = {parts[0] for parts in split if parts}
    if len(models) != 1 or not all(split):
        return Names(tuple(recipes))
    (model,) = models
    rest = [parts[1:] for parts in split]
    drafts = {part for parts in rest for part in parts if _is_draft(part)}
    drafted = [any(map(_is_draft, parts)) for parts in rest if parts]
    if len(drafts) == 1 and all(drafted):
        short = [[part for part in parts if not _is_draft(part)] for parts in rest]
        found = _named(short, (model, *drafts))
        if _all_differ(found.short):
            return found
    found = _named(rest, (model,))
    return found if _all_differ(found.short) else Names(tuple(recipes))


def task_names(tasks: Sequence[str]) -> Names:
    """Tasks without the settings that all of them share."""
    heads, settings = [], []
    for task in tasks:
        head, bracket, inner = task.partition("(")
        heads.append(head.strip())
        settings.append(inner.removesuffix(")").strip() if bracket else "")
    same = len(set(settings)) == 1
    if not same or not _all_differ(heads):
        return Names(tuple(tasks))
    return Names(tuple(heads), tuple(part for part in settings[:1] if part))


def labels(names: Sequence[str]) -> tuple[str, ...]:
    """Names for small places: `snapkv 512` for `snapkv(keep=512)`.

    They stay as they are where two would be the same or not all numbers are of one parameter.
    """
    parameters = {parameter for name in names for parameter, _ in [_only_number(name)] if parameter}
    found = tuple(_label(name) for name in names)
    return found if _all_differ(found) and len(parameters) == 1 else tuple(names)


def method(name: str) -> str:
    """What a short name is a setting of: its methods without their numbers."""
    return "+".join(_without_numbers(part) for part in _parts(name)) or name


def fitted(names: Sequence[str], room: int) -> tuple[str, ...]:
    """Names of at most `room` columns: the middle of longer ones gives way to `…`."""
    found = [_elided(name, room) for name in names]
    for at, name in enumerate(found):
        if found.count(name) > 1 and name != names[at]:
            mark = f"…{at + 1}"
            found[at] = names[at][: max(room - len(mark), 1)] + mark
    return tuple(found)


def _named(parts: Sequence[Sequence[str]], shared: tuple[str, ...]) -> Names:
    return Names(tuple("+".join(one) or EXACT for one in parts), shared)


def _parts(recipe: str) -> list[str]:
    try:
        return spelling.split(recipe, "+")
    except UsageError:  # not a spelling of ours, so it stands as it is
        return [recipe]


def _is_draft(part: str) -> bool:
    return part.startswith("draft(")


def _all_differ(names: Sequence[str]) -> bool:
    return len(set(names)) == len(names)


def _call(part: str) -> spelling.Call | None:
    try:
        return spelling.parse(part)
    except UsageError:
        return None


def _label(name: str) -> str:
    parameter, label = _only_number(name)
    return label if parameter else name


def _only_number(name: str) -> tuple[str, str]:
    """The parameter of a method with one number for its settings, and its short label."""
    call = _call(name)
    if call is None or len(call.settings) != 1:
        return "", ""
    ((parameter, value),) = call.settings.items()
    label = f"{call.name} {spelling.written(value)}"
    return (parameter, label) if _is_number(value) else ("", "")


def _without_numbers(part: str) -> str:
    call = _call(part)
    if call is None:
        return part
    kept = {key: value for key, value in call.settings.items() if not _is_number(value)}
    return str(spelling.Call(call.name, kept))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _elided(name: str, room: int) -> str:
    if len(name) <= room:
        return name
    end = (room - 1) // 2
    return name[: room - 1 - end] + "…" + name[len(name) - end :]
