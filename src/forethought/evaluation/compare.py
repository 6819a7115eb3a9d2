"""Python calls behind the verbs `evaluate` and `compare`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from forethought import catalogue
from forethought.backends.openai.recipe_check import check_priced
from forethought.contracts.comparison import Comparison
from forethought.contracts.parameters import Amount
from forethought.contracts.questions import Task
from forethought.cost.prices import Price, prices_of
from forethought.evaluation.cells import LocalCells
from forethought.evaluation.confidence_scores import LEVEL
from forethought.evaluation.evaluate import Evaluation, EvaluationProgress
from forethought.evaluation.judged_ranking import JudgedSettings, check_judges
from forethought.evaluation.ray_cells import RayCells
from forethought.evaluation.ray_workers import RayCluster
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
    ray: RayCluster | None = None,
    as_published: bool = False,
    holdout: bool = False,
    judged: JudgedSettings | None = None,
    abstain_below: float = LEVEL,
) -> Comparison:
    """Score recipes on tasks; samples in the results file are reused.

    Recipes are spelled as on the command line: methods applied to `base`, `exact`, or whole
    recipes. `keeps` are budgets for methods that leave `keep` open. Tasks are spellings of tasks
    or families. `prices` are values of --price. With `searches`, the comparison adds statistics
    of the candidates of searches and counts majority votes over them. `ray` is a cluster whose
    workers answer. `as_published` adds each recipe without `protect`, as its paper has it. With
    `holdout`, Thresholdout answers for one half of the questions, and all else is of the other.
    `judged` ranks the recipes by the verdicts of their confidence methods too. The table of
    confidences counts answers below `abstain_below` as withheld.
    """
    on = Recipe.parse(base) if isinstance(base, str) else base
    built: dict[str, Task] = {}
    for text in tasks:
        built |= {catalogue.spelled_open(task): task for task in catalogue.expand(text).values()}
    chosen = recipe_grid(recipes, on, keeps, as_published=as_published)
    file, priced = Path(results or results_file()), prices_of(prices)
    asked = (chosen, built, file, samples, progress, priced, searches, ray)
    return measured(*asked, holdout, judged, abstain_below)


def measured(
    recipes: Sequence[Recipe],
    tasks: Mapping[str, Task],
    results: Path,
    samples: int = 1,
    progress: Callable[[EvaluationProgress], None] | None = None,
    prices: Mapping[str, Price] | None = None,
    searches: bool = False,
    ray: RayCluster | None = None,
    holdout: bool = False,
    judged: JudgedSettings | None = None,
    level: float = LEVEL,
) -> Comparison:
    """Run the samples that the results file lacks, then compare all; tasks go by spelling."""
    check_priced(recipes, prices or {})
    if judged is not None:
        check_judges([one.confidence for one in recipes])
    with Answers(servers=Servers(prices=prices or {})) as answers:
        every = tuple(dict.fromkeys(map(answers.settled, recipes)))
        with Store.open(results) as store:
            runner = LocalCells(answers) if ray is None else ray_cells(answers, ray, prices or {})
            asked = (every, tasks, store, runner, provenance(), samples, searches)
            asking = Evaluation(*asked, holdout, judged, level)
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
    ray: RayCluster | None = None,
    as_published: bool = False,
    holdout: bool = False,
    judged: JudgedSettings | None = None,
    abstain_below: float = LEVEL,
) -> Comparison:
    """Like `evaluate`, with the model's exact run as the first recipe and search statistics."""
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
        ray=ray,
        as_published=as_published,
        holdout=holdout,
        judged=judged,
        abstain_below=abstain_below,
    )


def ray_cells(answers: Answers, ray: RayCluster, prices: Mapping[str, Price]) -> RayCells:
    """The cells of a comparison on a cluster."""
    return RayCells(answers, partial(ray.opened, prices))
