"""Short, distinct names of recipes and tasks in one report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from forethought.contracts import spelling
from forethought.contracts.errors import UsageError

EXACT = "exact"


@dataclass(frozen=True)
class Names:
    """Short names, all distinct, in the order of their spellings."""

    short: tuple[str, ...]
    shared: tuple[str, ...] = ()
    """Parts that all names share and leave out, to be shown once."""


def recipe_names(recipes: Sequence[str]) -> Names:
    """Recipes without the model, draft and settings they share; a plain recipe is `exact`."""
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
        named = _names_of(short, (*shared[:1], *drafts, *shared[1:]))
        if _all_differ(named.short):
            return named
    named = _names_of(rest, shared)
    return named if _all_differ(named.short) else Names(tuple(recipes))


def task_names(tasks: Sequence[str]) -> Names:
    """Tasks without the settings they share."""
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
    """Labels for charts: `snapkv 512` for `snapkv(keep=512)`.

    Names stay unchanged if two labels would be equal, or numbers belong to several parameters.
    """
    parameters = {parameter for name in names for parameter, _ in [_only_number(name)] if parameter}
    found = tuple(_label(name) for name in names)
    return found if _all_differ(found) and len(parameters) == 1 else tuple(names)


def method(name: str) -> str:
    """The family of a short name: its methods without their numbers."""
    found = _split(name)
    plain = "+".join(_without_numbers(part) for part in found.parts)
    return "@".join(filter(None, [plain, *map(_without_numbers, found.search)])) or name


def is_search(recipe: str) -> bool:
    """Whether a recipe has a strategy."""
    try:
        return len(spelling.split(recipe, "@")) > 1
    except UsageError:  # not a recipe's spelling
        return False


def fitted(names: Sequence[str], room: int) -> tuple[str, ...]:
    """Shorten names to at most `room` columns, with `…` in the middle."""
    found = [_elided(name, room) for name in names]
    for at, name in enumerate(found):
        if found.count(name) > 1 and name != names[at]:
            mark = f"…{at + 1}"
            found[at] = names[at][: max(room - len(mark), 1)] + mark
    return tuple(found)


@dataclass(frozen=True)
class _Split:
    """The parts of a recipe's name."""

    parts: tuple[str, ...]
    """Model, draft and methods."""
    search: tuple[str, ...] = ()
    """Strategy and scorer."""
    settings: str = ""

    @property
    def name(self) -> str:
        """The parts joined again."""
        plain = "+".join(self.parts)
        spelled = "@".join(filter(None, [plain, *self.search])) or EXACT
        return " ".join(filter(None, [spelled, self.settings]))


def _names_of(found: Sequence[_Split], shared: tuple[str, ...]) -> Names:
    return Names(tuple(one.name for one in found), shared)


def _split(recipe: str) -> _Split:
    spelled, flag, settings = recipe.partition(" --")
    try:
        plain, *search = spelling.split(spelled, "@") or [""]
        return _Split(tuple(_parts(plain)), tuple(search), (flag + settings).strip())
    except UsageError:  # not a recipe's spelling: keep it whole
        return _Split((recipe,))


def _parts(recipe: str) -> list[str]:
    try:
        return spelling.split(recipe, "+")
    except UsageError:  # not a recipe's spelling: keep it whole
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
    """The parameter and the short label of a method whose only setting is a number."""
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
