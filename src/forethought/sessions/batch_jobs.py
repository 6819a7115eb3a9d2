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
from forethought.sessions.batch_question import BatchAnswer, BatchQuestion, Refuse
from forethought.sessions.question_run import QuestionRun, job_of
from forethought.storage.replay_log import ReplayLog


def run_name(question: BatchQuestion) -> str:
    """The name of an ask's run."""
    return run_identifier(question.recipe, question.question, question.document)


def run_batch(
    questions: Mapping[int, BatchQuestion],
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
    for place, question in questions.items():
        named.setdefault(run_name(question), []).append(place)
    local = dict(runs or {})
    jobs = []
    for name, (place, *_) in named.items():
        question, run = questions[place], local.get(name)
        plain = run is not None and run.plain
        jobs.append(job_of(question.recipe, name, question.posed, question.task, plain=plain))
    failed = None
    for done in Driver(judges.with_judges(backend, jobs), replay_log).run(jobs):
        if done.cut == "interrupted" or isinstance(done.error, KeyboardInterrupt):
            raise KeyboardInterrupt
        name = done.job.run
        if done.error is not None:
            failed = failed or _unless_refused(done.error, questions, named[name], refuse)
            continue
        for place in named[name]:
            yield BatchAnswer(place, _record(questions[place], done, clock, local.get(name)))
        local.pop(name, None)
    if failed is not None:
        raise failed


def _record(question: BatchQuestion, done: JobResult, clock: Clock, local: LocalRun | None) -> Run:
    """The record of an answer, timed as if it had been asked for alone."""
    run = QuestionRun(question.recipe, clock, local)
    if local is None or not local.plain:
        return run.record(done, done.seconds)
    stages = local.meter("target").stages
    run.first_token = sum(seconds for name, seconds in stages.items() if name != "decode")
    return run.record(done, sum(stages.values()))


def _unless_refused(
    error: BaseException,
    questions: Mapping[int, BatchQuestion],
    places: list[int],
    refuse: Refuse | None,
) -> BaseException | None:
    """The error, unless it is refused: those who asked are named in it then."""
    if refuse is None or not isinstance(error, UnfitError):
        return error
    error.message = f"{questions[places[0]].recipe.spelling}: {error.message}"
    for place in places:
        refuse(place, error)
    return None


def without_seed(recipe: Recipe) -> Recipe:
    """What recipes have in common whose searches can run together."""
    return replace(recipe, seed=0)
