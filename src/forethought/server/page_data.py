"""The data of the page as plain JSON values: catalogue, prompts, recipes, comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from forethought import catalogue
from forethought.catalogue import Entry, Kind
from forethought.contracts import spelling
from forethought.contracts.comparison import Comparison
from forethought.contracts.parameters import Budget, FileIn, Odd, Range, Whole
from forethought.contracts.questions import Sample
from forethought.contracts.records import Prompt
from forethought.evaluation.recipe_result import recipe_result, with_frontiers
from forethought.evaluation.task_scores import scores_by_task
from forethought.recipes.recipe import Recipe
from forethought.reports.document import plain
from forethought.reports.html.comparison_chart import comparison_chart
from forethought.reports.html.comparison_view import ComparisonView

_KINDS: tuple[Kind, ...] = ("methods", "strategies", "scorers")
_CHART = (400.0, 360.0)


@cache  # importing every method takes a moment
def catalogue_document() -> dict[str, Any]:
    """Methods, strategies and scorers with their parameters, each a list sorted by family."""
    return {
        kind: [
            _entry_document(entry)
            for family in catalogue.families(kind).values()
            for entry in family
        ]
        for kind in _KINDS
    }


def _entry_document(entry: Entry) -> dict[str, Any]:
    hints = get_type_hints(entry.load(), include_extras=True)
    return {
        "name": entry.name,
        "family": entry.family,
        "summary": entry.summary,
        "notes": entry.notes,
        "needs_scorer": bool(entry.constants.get("scores", False)),
        "parameters": [
            {**asdict(one), "control": control(hints[one.name])} for one in entry.parameters
        ],
    }


def control(hint: Any) -> dict[str, Any]:
    """The control of a parameter type: its kind, limits or options, and whether it may be none."""
    if get_origin(hint) is Literal:
        return {"kind": "choice", "options": list(get_args(hint)), "optional": False}
    if get_origin(hint) is Annotated:
        return {**_limited(get_args(hint)[1:], get_args(hint)[0]), "optional": False}
    arms = [arm for arm in get_args(hint) if arm is not NoneType]
    if arms:  # a union: the control is that of its first arm
        return {**control(arms[0]), "optional": NoneType in get_args(hint)}
    return {"kind": _PLAIN.get(hint, "text"), "optional": False}


_PLAIN = {bool: "switch", int: "whole", float: "number", str: "text"}


def _limited(notes: Sequence[object], kind: Any) -> dict[str, Any]:
    for note in notes:
        match note:
            case Budget():
                return {"kind": "keep"}
            case FileIn():
                return {"kind": "choice", "options": note.names()}
            case Whole():
                step = 2 if isinstance(note, Odd) else 1
                return {"kind": "whole", "low": note.low, "high": note.high, "step": step}
            case Range():
                return {"kind": "number", "low": note.low, "high": note.high}
    return {"kind": _PLAIN.get(kind, "text")}


def prompt_document(prompt: Prompt) -> dict[str, Any]:
    """The texts of a prompt's tokens, which join to the prompt, and their character ranges."""
    return {"tokens": list(_token_texts(prompt)), "spans": [list(span) for span in prompt.spans]}


def _token_texts(prompt: Prompt) -> Iterator[str]:
    reached = 0
    for start, stop in prompt.spans:
        # Tokens that share a character have overlapping spans; the first one shows it.
        yield prompt.text[max(start, reached) : stop]
        reached = max(reached, stop)


def recipe_document(spelled: str, settings: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """A recipe as the page's form holds it: names and settings of each part."""
    recipe = Recipe.parse(spelled)
    return {
        "model": recipe.model,
        "draft": recipe.draft,
        "approximate": [_call(text) for text in recipe.approximate],
        "search": _call(recipe.search) if recipe.search else None,
        "scorer": _call(recipe.scorer) if recipe.scorer else None,
        "settings": dict(settings),
        "seed": seed,
    }


def _call(text: str) -> dict[str, Any]:
    call = spelling.parse(text)
    values = {name: spelling.written(value) for name, value in call.settings.items()}
    return {"name": call.name, "settings": values}


def comparisons_document(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """One comparison for each stored task: points with their frontiers, and a chart for each axis.

    Points carry the recipe as the form holds it.
    """
    tasks = dict.fromkeys(sample.task for sample in samples)
    return [
        _comparison(task, [sample for sample in samples if sample.task == task]) for task in tasks
    ]


def _comparison(task: str, samples: Sequence[Sample]) -> dict[str, Any]:
    by_recipe: dict[str, list[Sample]] = {}
    for sample in samples:
        by_recipe.setdefault(sample.recipe, []).append(sample)
    results = [
        recipe_result(name, scores_by_task(name, found, [task]), found)
        for name, found in by_recipe.items()
    ]
    questions = len({sample.question for sample in samples})
    found = Comparison(with_frontiers(results), (), (task,), questions)
    view = ComparisonView(found)
    return {
        "task": task,
        "questions": questions,
        "points": [
            {
                **plain(asdict(one), ("fewer",)),
                "name": view.names[number],
                "form": _form_of(by_recipe[one.recipe][0]),
            }
            for number, one in enumerate(found.standings)
        ],
        "axes": [
            {
                "name": axis.name,
                "title": axis.title,
                "chart": comparison_chart(view, axis, _CHART),
            }
            for axis in view.axes
        ],
    }


def _form_of(sample: Sample) -> dict[str, Any]:
    """The recipe of a stored sample; its seed belongs to the question, so it is left out."""
    return recipe_document(sample.run["recipe"], sample.run["settings"])
