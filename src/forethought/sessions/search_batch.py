"""Recipes with strategies among many that are asked at once: the searches of each run together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from forethought.backends.local.local import LocalBackend
from forethought.contracts.backend import Backend
from forethought.contracts.errors import UnfitError
from forethought.driver.driver import Driver
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.models.model import Model
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.sessions.asks import BatchAnswer, BatchQuestion, Refuse
from forethought.sessions.search_run import SearchRun, job_of
from forethought.storage.replay_log import ReplayLog


def searched(
    asks: Mapping[int, BatchQuestion],
    target: Model,
    draft: Model,
    clock: Clock,
    journal: ReplayLog,
    judges: Judges,
    refuse: Refuse | None = None,
) -> Iterator[BatchAnswer]:
    """The answers of asks whose recipes differ in nothing but their seeds, by place."""
    recipe = next(iter(asks.values())).recipe
    backend = LocalBackend(recipe, target, draft, clock)
    yield from driven(asks, backend, journal, clock, judges, target, refuse)


def driven(
    asks: Mapping[int, BatchQuestion],
    backend: Backend,
    journal: ReplayLog,
    clock: Clock,
    judges: Judges,
    target: Model | None = None,
    refuse: Refuse | None = None,
) -> Iterator[BatchAnswer]:
    """What a back end answers to asks that all suit it, each as soon as its search is done.

    One that fails lets the others end, as what they took is paid; then its error is raised.
    `refuse` is told instead where its question does not fit it.
    """
    named: dict[str, list[int]] = {}
    for place, ask in asks.items():
        name = run_identifier(ask.recipe, ask.question, ask.document)
        named.setdefault(name, []).append(place)
    jobs = [
        job_of(asks[place].recipe, name, asks[place].posed, asks[place].task)
        for name, (place, *_) in named.items()
    ]
    failed = None
    for done in Driver(judges.beside(backend, jobs), journal).run(jobs):
        if done.cut == "interrupted" or isinstance(done.error, KeyboardInterrupt):
            raise KeyboardInterrupt
        if done.error is not None:
            failed = failed or _unless_refused(done.error, asks, named[done.job.run], refuse)
            continue
        for place in named[done.job.run]:
            searching = SearchRun(asks[place].recipe, clock, target)
            yield BatchAnswer(place, searching.record(done, done.seconds))
    if failed is not None:
        raise failed


def _unless_refused(
    error: BaseException,
    asks: Mapping[int, BatchQuestion],
    places: list[int],
    refuse: Refuse | None,
) -> BaseException | None:
    """The error, unless it is refused: those who asked are named in it then."""
    if refuse is None or not isinstance(error, UnfitError):
        return error
    error.message = f"{asks[places[0]].recipe.spelling}: {error.message}"
    for place in places:
        refuse(place, error)
    return None


def alike(recipe: Recipe) -> Recipe:
    """What recipes have in common whose searches can run together."""
    return replace(recipe, seed=0)
