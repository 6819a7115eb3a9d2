"""Short names of recipes and tasks that stand beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    """Recipes without the model, the draft and the settings they share; a plain one is `exact`."""
    found = [_split(recipe) for recipe in recipes]
    models = {one.parts[0] for one in found if one.parts}
    if len(models) != 1 or not all(one.parts for one in found):
        return Names(tuple(recipes))
    settings = {one.settings for one in found}
    alike = settings.pop() if len(settings) == 1 else ""
    if alike:
        found = [replace(one, settings="") for one in found]
    (model,) = models
    shared = (model, *filter(None, [alike]))
    rest = [replace(one, parts=one.parts[1:]) for one in found]
    drafts = {part for one in rest for part in one.parts if _is_draft(part)}
    drafted = [any(map(_is_draft, one.parts)) for one in rest if one.parts]
    if len(drafts) == 1 and all(drafted):
        short = [
            replace(one, parts=tuple(p for p in one.parts if not _is_draft(p))) for one in rest
        ]
        named = _named(short, (*shared[:1], *drafts, *shared[1:]))
        if _all_differ(named.short):
            return named
    named = _named(rest, shared)
    return named if _all_differ(named.short) else Names(tuple(recipes))


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
    found = _split(name)
    plain = "+".join(_without_numbers(part) for part in found.parts)
    return "@".join(filter(None, [plain, *map(_without_numbers, found.search)])) or name


def is_search(recipe: str) -> bool:
    """Whether a recipe spends several passes on a question."""
    try:
        return len(spelling.split(recipe, "@")) > 1
    except UsageError:  # not a spelling of ours
        return False


def fitted(names: Sequence[str], room: int) -> tuple[str, ...]:
    """Names of at most `room` columns: the middle of longer ones gives way to `…`."""
    found = [_elided(name, room) for name in names]
    for at, name in enumerate(found):
        if found.count(name) > 1 and name != names[at]:
            mark = f"…{at + 1}"
            found[at] = names[at][: max(room - len(mark), 1)] + mark
    return tuple(found)


@dataclass(frozen=True)
class _Split:
    """A recipe's name in pieces."""

    parts: tuple[str, ...]
    """Model, draft and methods."""
    search: tuple[str, ...] = ()
    """Strategy and scorer."""
    settings: str = ""

    @property
    def name(self) -> str:
        """The pieces put together again."""
        plain = "+".join(self.parts)
        spelled = "@".join(filter(None, [plain, *self.search])) or EXACT
        return " ".join(filter(None, [spelled, self.settings]))


def _named(found: Sequence[_Split], shared: tuple[str, ...]) -> Names:
    return Names(tuple(one.name for one in found), shared)


def _split(recipe: str) -> _Split:
    spelled, flag, settings = recipe.partition(" --")
    try:
        plain, *search = spelling.split(spelled, "@") or [""]
        return _Split(tuple(_parts(plain)), tuple(search), (flag + settings).strip())
    except UsageError:  # not a spelling of ours, so it stands as it is
        return _Split((recipe,))


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
