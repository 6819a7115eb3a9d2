"""Scores and times of stored answers: the evidence of automatic choices."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from forethought.contracts.comparison import Interval
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.questions import Sample
from forethought.models.known_configs import published_in_four_bits
from forethought.numerics.intervals import Clustered
from forethought.numerics.pairs import paired_interval
from forethought.recipes.recipe import Recipe, is_remote
from forethought.sessions.this_machine import machine_name
from forethought.sessions.time_model import EACH
from forethought.storage.timings import RunTiming

_DECODE = "decode"


@dataclass(frozen=True)
class Evidence:
    """The difference of a recipe's scores to the exact run's, on the questions of both."""

    label: str
    difference: Interval
    questions: int
    tasks: tuple[str, ...]
    """Names of their tasks."""


def compared(
    exact: str, samples: Sequence[Sample], wanted: Callable[[str], bool]
) -> list[Evidence]:
    """The evidence on the stored recipes whose label is wanted, beside the label `exact`."""
    scores: dict[str, dict[tuple[str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    clusters: dict[tuple[str, str], str] = {}
    for sample in samples:
        question = (sample.task, sample.question)
        scores[sample.recipe][question].append(sample.score)
        clusters[question] = sample.cluster
    base = scores.pop(exact, {})
    return [
        _evidence(label, found, base, clusters)
        for label, found in sorted(scores.items())
        if found.keys() & base.keys() and wanted(label)
    ]


def _evidence(
    label: str,
    found: Mapping[tuple[str, str], list[float]],
    exact: Mapping[tuple[str, str], list[float]],
    clusters: Mapping[tuple[str, str], str],
) -> Evidence:
    shared = sorted(found.keys() & exact.keys())
    tasks = []
    for task in dict.fromkeys(task for task, _ in shared):
        own = [question for question in shared if question[0] == task]
        changes = [float(np.mean(found[q]) - np.mean(exact[q])) for q in own]
        tasks.append(Clustered.of(changes, [clusters[q] for q in own]))
    interval = paired_interval(tasks, np.random.default_rng(0))
    names = dict.fromkeys(task.partition("(")[0] for task, _ in shared)
    return Evidence(label, interval, len(shared), tuple(names))


def stored_timings(samples: Sequence[Sample], machine: str) -> Iterator[RunTiming]:
    """The prefill times of stored plain answers that this machine gave, up to 24 of a recipe.

    Decode times are left out: an evaluation decodes several answers at once.
    """
    taken: Counter[str] = Counter()
    for sample in samples:
        if taken[sample.recipe] < EACH and machine_name(sample.provenance) == machine:
            timing = run_timing(sample.run, alone=False)
            if timing is not None:
                taken[sample.recipe] += 1
                yield timing


def run_timing(
    run: Mapping[str, Any], *, alone: bool, weights: str | None = None
) -> RunTiming | None:
    """The timing of a run's document; None for searches, servers and runs without times.

    `weights` is the format that decode used, if the caller knows it.
    """
    stages, cost = run["timing"].get("stages", {}), run["cost"]
    before = sum(seconds for name, seconds in stages.items() if name != _DECODE)
    recipe = _parsed(run["recipe"])
    alone_here = recipe is not None and not recipe.search and not cost["cached_tokens"]
    if recipe is None or not alone_here or not before > 0 or not run["kept"]["of"]:
        return None
    rows = max(1, len(run["candidates"]))
    return RunTiming(
        model=recipe.model,
        draft=recipe.draft,
        methods=recipe.approximate,
        weights=weights or _format(run, recipe.model),
        rows=rows,
        prompt=run["kept"]["of"],
        output=max(1, round(cost["output_tokens"] / rows)),
        first_token=before,
        decode=stages.get(_DECODE, 0.0) if alone else 0.0,
        alone=alone,
    )


@lru_cache(4096)
def _parsed(spelling: str) -> Recipe | None:
    try:
        recipe = Recipe.parse(spelling)
    except ForethoughtError:  # of another version, or with a method that is not installed
        return None
    return None if is_remote(recipe.model) else recipe


def _format(run: Mapping[str, Any], model: str) -> str:
    stated = str(run.get("settings", {}).get("weights", "auto"))
    usual = "int4" if published_in_four_bits(model) else "bf16"
    return usual if stated == "auto" else stated
