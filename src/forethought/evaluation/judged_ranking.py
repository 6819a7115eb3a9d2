"""Recipes ranked by the verdicts of judges that err, with few gold scores or none.

A judge is a confidence method of the recipes: each stored answer has its verdict. The posterior of
`beliefs/judges.py` allows for the judges' errors and, in the pairs that it calls sure, for any
plausible prior of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forethought.beliefs.judges import MISSING, JudgeModel, JudgeScores, robust_pairs
from forethought.beliefs.sampled import SampledBelief
from forethought.contracts.comparison import Interval, JudgedRanking, JudgedRecipe
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.contracts.questions import Sample

MOST_LEVELS = 10
_SEED = 0
_MODEL = JudgeModel(draws=500)
_QUICK = JudgeModel(draws=100)
"""The model of the sensitivity analysis, which is fitted for every prior of the judges."""
_NO_JUDGE = "--judged ranks by the verdicts of confidence methods, and the recipes share none"
_NAME_ONE = "name one that judges answers, such as --confidence self-judge"


@dataclass(frozen=True)
class JudgedSettings:
    """How the verdicts are read."""

    labels: int = 0
    """Questions whose gold score is used; the others count as unlabelled."""
    levels: int = 2
    """Levels of a verdict and of a gold score, at equal widths from 0 to 1."""

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= MOST_LEVELS:
            raise BadParameterError(
                f"{self.levels} levels of a verdict are none to rank by",
                f"give 2 to {MOST_LEVELS}; more than 2 need several judges or labels",
            )


def check_judges(judges: Sequence[Sequence[str]]) -> None:
    """Raise UsageError unless two recipes or more share a confidence method."""
    if len(judges) < 2:
        raise UsageError("--judged ranks recipes, and there is one", "name another recipe")
    if not set(judges[0]).intersection(*judges[1:]):
        raise UsageError(_NO_JUDGE, _NAME_ONE)


def judged_ranking(
    samples: Sequence[Sample], recipes: Sequence[str], settings: JudgedSettings
) -> JudgedRanking:
    """The ranking of recipes by the stored verdicts on their answers."""
    judges = _judges(samples)
    table = _table(samples, recipes, judges, settings)
    belief = _MODEL.condition(table)
    top = settings.levels - 1
    shares = SampledBelief(belief.draws / top)
    rows = zip(
        recipes, shares.mean, shares.interval(), belief.best(), belief.ranks(), strict=True
    )  # fmt: skip
    pairs = robust_pairs(table, model=_QUICK)
    return JudgedRanking(
        recipes=tuple(
            JudgedRecipe(
                recipe, Interval(float(mean), *map(float, ends)), float(best), *map(round, ranks)
            )
            for recipe, mean, ends, best, ranks in rows
        ),
        judges=tuple(judges),
        copies=tuple((judges[first], judges[second]) for first, second in table.copies()),
        levels=settings.levels,
        questions=len({(one.task, one.question) for one in samples}),
        labels=min(settings.labels, len({(one.task, one.question) for one in samples})),
        sure=tuple((recipes[better], recipes[worse]) for better, worse in pairs),
        warning=belief.warning,
    )


def _judges(samples: Sequence[Sample]) -> list[str]:
    """The methods that judged every answer's recipe."""
    found: list[str] | None = None
    for sample in samples:
        own = [str(one["method"]) for one in _estimates(sample)]
        found = own if found is None else [one for one in found if one in own]
    if not found:
        raise UsageError(_NO_JUDGE, _NAME_ONE)
    return found


def _estimates(sample: Sample) -> Sequence[dict[str, object]]:
    found: Sequence[dict[str, object]] = (sample.run.get("confidence") or {}).get("estimates", ())
    return found


def _table(
    samples: Sequence[Sample],
    recipes: Sequence[str],
    judges: Sequence[str],
    settings: JudgedSettings,
) -> JudgeScores:
    """Verdicts [judges, recipes, answers], and gold scores of some questions."""
    answers = sorted({(one.task, one.question, one.number) for one in samples})
    place = {answer: number for number, answer in enumerate(answers)}
    labelled = _labelled([answer[:2] for answer in answers], settings.labels)
    scores = np.full((len(judges), len(recipes), len(answers)), MISSING)
    gold = np.full((len(recipes), len(answers)), MISSING)
    for sample in samples:
        at = recipes.index(sample.recipe), place[sample.task, sample.question, sample.number]
        told = {one["method"]: one["value"] for one in _estimates(sample)}
        for number, judge in enumerate(judges):
            scores[(number, *at)] = _level(told[judge], settings.levels)
        if (sample.task, sample.question) in labelled:
            gold[at] = _level(sample.score, settings.levels)
    return JudgeScores.of(settings.levels, scores, gold)


def _labelled(questions: Sequence[tuple[str, str]], count: int) -> set[tuple[str, str]]:
    """So many questions, drawn at random."""
    known = sorted(set(questions))
    chosen = np.random.default_rng(_SEED).permutation(len(known))[:count]
    return {known[place] for place in chosen}


def _level(value: object, levels: int) -> int:
    """The level of a number from 0 to 1; no verdict has none."""
    return min(int(value * levels), levels - 1) if isinstance(value, float | int) else MISSING
