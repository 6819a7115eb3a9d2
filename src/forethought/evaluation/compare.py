"""The calls behind `evaluate` and `compare`, for Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from forethought import catalogue
from forethought.backends.openai.recipe_check import check_priced
from forethought.contracts.comparison import Comparison
from forethought.contracts.parameters import Amount
from forethought.contracts.questions import Task
from forethought.cost.prices import Price, prices_of
from forethought.evaluation.evaluate import Evaluation, EvaluationProgress
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import EXACT, recipe_grid
from forethought.sessions.batch import Answers
from forethought.sessions.remote_batch import Servers
from forethought.storage.location import results_file
from forethought.storage.provenance import provenance
from forethought.storage.store import Store


def evaluate(
    recipes: Sequence[str],
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    keeps: Sequence[Amount] = (),
    samples: int = 1,
    prices: Sequence[str] = (),
    results: Path | str | None = None,
    progress: Callable[[EvaluationProgress], None] | None = None,
    searches: bool = False,
) -> Comparison:
    """Score recipes on tasks; what the results file holds already is not asked again.

    Recipes are named as on the command line: methods on top of `base`, `exact`, or whole
    recipes; `keeps` are budgets for methods that leave theirs open. Tasks are spellings of
    tasks or families, and prices what --price takes. With `searches` it is told too what those
    chose among, and what votes would have come to.
    """
    on = Recipe.parse(base) if isinstance(base, str) else base
    found: dict[str, Task] = {}
    for text in tasks:
        found |= {catalogue.spelled_open(task): task for task in catalogue.expand(text).values()}
    chosen = recipe_grid(recipes, on, keeps)
    file, paid = Path(results or results_file()), prices_of(prices)
    return measured(chosen, found, file, samples, progress, paid, searches)


def measured(
    recipes: Sequence[Recipe],
    tasks: Mapping[str, Task],
    results: Path,
    samples: int = 1,
    progress: Callable[[EvaluationProgress], None] | None = None,
    prices: Mapping[str, Price] | None = None,
    searches: bool = False,
) -> Comparison:
    """Recipes on tasks, by spelling: ask what the results file lacks, and compare all of it."""
    check_priced(recipes, prices or {})
    with Answers(servers=Servers(prices=prices or {})) as answers:
        every = tuple(dict.fromkeys(map(answers.settled, recipes)))
        with Store.open(results) as store:
            asking = Evaluation(every, tasks, store, answers, provenance(), samples, searches)
            return asking.run(progress)


def compare(
    recipes: Sequence[str],
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    keeps: Sequence[Amount] = (),
    samples: int = 1,
    prices: Sequence[str] = (),
    results: Path | str | None = None,
    progress: Callable[[EvaluationProgress], None] | None = None,
) -> Comparison:
    """As `evaluate`, with the exact run of the model as the first recipe."""
    return evaluate(
        [EXACT, *recipes],
        tasks,
        base,
        keeps=keeps,
        samples=samples,
        prices=prices,
        results=results,
        progress=progress,
        searches=True,
    )
