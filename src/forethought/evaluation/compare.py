"""The calls behind `evaluate` and `compare`, for Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from forethought import catalogue
from forethought.contracts.comparison import Comparison
from forethought.contracts.parameters import Amount
from forethought.contracts.questions import Task
from forethought.evaluation.evaluate import Evaluation, Progress
from forethought.runs.answers import Answers
from forethought.runs.contenders import EXACT, contenders
from forethought.runs.provenance import provenance
from forethought.runs.recipe import Recipe
from forethought.runs.results import results_file
from forethought.runs.store import Store


def evaluate(
    recipes: Sequence[str],
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    keeps: Sequence[Amount] = (),
    samples: int = 1,
    results: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Comparison:
    """Score recipes on tasks; what the results file holds already is not asked again.

    Recipes are named as on the command line: methods on top of `base`, `exact`, or whole
    recipes; `keeps` are budgets for methods that leave theirs open. Tasks are spellings of
    tasks or families.
    """
    on = Recipe.parse(base) if isinstance(base, str) else base
    found: dict[str, Task] = {}
    for text in tasks:
        found |= {catalogue.spelled_open(task): task for task in catalogue.expand(text).values()}
    with Store.open(results or results_file()) as store:
        chosen = tuple(contenders(recipes, on, keeps))
        evaluation = Evaluation(chosen, found, store, Answers(), provenance(), samples)
        return evaluation.run(progress)


def compare(
    recipes: Sequence[str],
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    keeps: Sequence[Amount] = (),
    samples: int = 1,
    results: Path | str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Comparison:
    """As `evaluate`, with the exact run of the model as the first recipe."""
    return evaluate(
        [EXACT, *recipes],
        tasks,
        base,
        keeps=keeps,
        samples=samples,
        results=results,
        progress=progress,
    )
