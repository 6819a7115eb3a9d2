"""Recipes with strategies among many that are asked at once: the searches of each run together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from forethought.contracts.errors import UsageError
from forethought.engine.meter import Clock
from forethought.models.model import Model
from forethought.runs.asks import Answered, Ask
from forethought.runs.drive import Drive
from forethought.runs.journal import Journal
from forethought.runs.local import Local
from forethought.runs.recipe import Recipe
from forethought.runs.search_run import SearchRun, job_of
from forethought.runs.session import run_identifier


def searched(
    asks: Mapping[int, Ask], target: Model, draft: Model, clock: Clock, journal: Journal
) -> Iterator[Answered]:
    """The answers of asks whose recipes differ in nothing but their seeds, by place."""
    recipe = next(iter(asks.values())).recipe
    if recipe.limit.seconds is not None:
        raise UsageError(
            f"{recipe.spelling}: a limit of time is no limit where many are asked at once",
            "state the budget as tokens or FLOPs, or ask alone",
        )
    named = {run_identifier(ask.recipe, ask.question, ask.document): place
             for place, ask in asks.items()}  # fmt: skip
    jobs = [
        job_of(asks[place].recipe, name, asks[place].posed, asks[place].task)
        for name, place in named.items()
    ]
    backend = Local(recipe, target, draft, clock)
    start = clock()
    for done in Drive(backend, journal).run(jobs):
        if done.error is not None:
            raise done.error
        place = named[done.job.run]
        searching = SearchRun(asks[place].recipe, clock, target)
        yield Answered(place, searching.record(done, clock() - start))


def alike(recipe: Recipe) -> Recipe:
    """What recipes have in common whose searches can run together."""
    return replace(recipe, seed=0)
