"""The score that a description lets one expect, from the results file: `forecast --describe`."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

from forethought import catalogue
from forethought.beliefs.expected import (
    DescribedScore,
    PastResult,
    ScoreBelief,
    chance_level,
    left_out_errors,
)
from forethought.contracts.beliefs import Belief, Counts
from forethought.contracts.errors import UnknownNameError
from forethought.contracts.forecast import DescribedForecast, SimilarResult
from forethought.evaluation.look_ahead import intervals
from forethought.storage.location import results_file
from forethought.storage.store import Store

_SHOWN = 5


def describe(
    description: str,
    results: Path | str | None = None,
    seen: tuple[int, int] | None = None,
    network: Path | str | None = None,
) -> DescribedForecast:
    """The expected score of a described benchmark, by the words of stored results.

    `seen` are right answers and answers of a first look, which update the prior: exactly, or by a
    `network` of `tune --train-pfn rate-filter`.
    """
    names, past = _past(Path(results or results_file()).expanduser())
    model = DescribedScore(past)
    belief = model.condition(description)
    weights = model.weights(description).tolist()
    order = sorted(range(len(past)), key=lambda place: -weights[place])[:_SHOWN]
    errors = left_out_errors(past) or (None, None)
    mean, spread = float(belief.mean[0]), float(belief.spread)
    items = mean * (1 - mean) / spread**2 - 1
    return DescribedForecast(
        description=description,
        score=intervals(belief)[0],
        chance=chance_level(description),
        similar=tuple(
            SimilarResult(*names[place], past[place].score, past[place].questions, weights[place])
            for place in order
            if weights[place] > 0
        ),
        past=len(past),
        error=errors[0],
        mean_error=errors[1],
        enough_items=math.ceil(items) if items > 1 else None,
        seen=seen,
        updated=None if seen is None else intervals(_updated(belief, seen, network))[0],
    )


def _updated(prior: ScoreBelief, seen: tuple[int, int], network: Path | str | None) -> Belief:
    right, made = seen
    evidence = Counts.of(made, [right])
    if network is None:
        return prior.given(evidence)
    # Imported late: only a network needs torch.
    from forethought.beliefs.amortised.distribution_transformer import filtered

    return filtered(Path(network), prior.mixture(), evidence)


def _past(file: Path) -> tuple[list[tuple[str, str]], tuple[PastResult, ...]]:
    """Task and recipe of each stored result, and the result with its description."""
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    if file.exists():
        with Store.open(file) as store:
            for sample in store.samples():
                scores[sample.task, sample.recipe].append(sample.score)
    names = sorted(scores)
    return names, tuple(
        PastResult(
            f"{task} {_summary(task)} {recipe}",
            math.fsum(scores[task, recipe]) / len(scores[task, recipe]),
            len(scores[task, recipe]),
        )
        for task, recipe in names
    )


def _summary(task: str) -> str:
    """The summary of a task; empty for one that is not installed."""
    try:
        return catalogue.find(task.partition("(")[0], "tasks").summary
    except UnknownNameError:
        return ""
