"""Many questions at once: their jobs run together on one back end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from forethought.backends.local.local_run import LocalRun
from forethought.contracts.backend import Backend
from forethought.contracts.errors import UnfitError
from forethought.contracts.records import Run
from forethought.driver.driver import Driver
from forethought.driver.job import JobResult
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.sessions.asks import BatchAnswer, BatchQuestion, Refuse
from forethought.sessions.question_run import QuestionRun, job_of
from forethought.storage.replay_log import ReplayLog


def name_of(ask: BatchQuestion) -> str:
    """The name of an ask's run."""
    return run_identifier(ask.recipe, ask.question, ask.document)


def driven(
    asks: Mapping[int, BatchQuestion],
    backend: Backend,
    replay_log: ReplayLog | None,
    clock: Clock,
    judges: Judges,
    runs: Mapping[str, LocalRun] | None = None,
    refuse: Refuse | None = None,
) -> Iterator[BatchAnswer]:
    """The answers of a back end, each as soon as its job is done.

    `runs` are those of models of this machine, by name. A job that fails lets the others end, as
    what they took is paid; then its error is raised. `refuse` is told instead where its question
    does not fit it.
    """
    named: dict[str, list[int]] = {}
    for place, ask in asks.items():
        named.setdefault(name_of(ask), []).append(place)
    local = dict(runs or {})
    jobs = []
    for name, (place, *_) in named.items():
        ask, run = asks[place], local.get(name)
        plain = run is not None and run.plain
        jobs.append(job_of(ask.recipe, name, ask.posed, ask.task, plain=plain))
    failed = None
    for done in Driver(judges.beside(backend, jobs), replay_log).run(jobs):
        if done.cut == "interrupted" or isinstance(done.error, KeyboardInterrupt):
            raise KeyboardInterrupt
        name = done.job.run
        if done.error is not None:
            failed = failed or _unless_refused(done.error, asks, named[name], refuse)
            continue
        for place in named[name]:
            yield BatchAnswer(place, _record(asks[place], done, clock, local.get(name)))
        local.pop(name, None)
    if failed is not None:
        raise failed


def _record(ask: BatchQuestion, done: JobResult, clock: Clock, local: LocalRun | None) -> Run:
    """The record of an answer, timed as if it had been asked for alone."""
    run = QuestionRun(ask.recipe, clock, local)
    if local is None or not local.plain:
        return run.record(done, done.seconds)
    stages = local.meter("target").stages
    run.first_token = sum(seconds for name, seconds in stages.items() if name != "decode")
    return run.record(done, sum(stages.values()))


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
