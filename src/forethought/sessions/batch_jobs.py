"""Many questions as jobs of one driver."""

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
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch_question import BatchAnswer, BatchQuestion, Refuse
from forethought.sessions.question_run import job_of
from forethought.sessions.run_record import RunRecorder
from forethought.storage.replay_log import ReplayLog


def run_name(question: BatchQuestion) -> str:
    """The identifier of a question's run."""
    return run_identifier(question.recipe, question.question, question.document)


def run_batch(
    questions: Mapping[int, BatchQuestion],
    backend: Backend,
    replay_log: ReplayLog | None,
    judges: Judges,
    runs: Mapping[str, LocalRun] | None = None,
    refuse: Refuse | None = None,
) -> Iterator[BatchAnswer]:
    """Run the questions on a back end and yield each answer as soon as its job is complete.

    `runs` are the runs of local models, by identifier. If a job fails, the others finish, because
    they are paid for; then its error is raised. If its question does not fit and `refuse` is given,
    `refuse` is called instead.
    """
    places_of: dict[str, list[int]] = {}
    for place, question in questions.items():
        places_of.setdefault(run_name(question), []).append(place)
    local = dict(runs or {})
    jobs = []
    for name, (place, *_) in places_of.items():
        question, run = questions[place], local.get(name)
        plain = run is not None and run.plain
        jobs.append(job_of(question.recipe, name, question.posed, question.task, plain=plain))
    failed = None
    for done in Driver(judges.with_judges(backend, jobs), replay_log).run(jobs):
        if done.cut == "interrupted" or isinstance(done.error, KeyboardInterrupt):
            raise KeyboardInterrupt
        name = done.job.run
        if done.error is not None:
            failed = failed or _unrefused(done.error, questions, places_of[name], refuse)
            continue
        for place in places_of[name]:
            yield BatchAnswer(place, _record(questions[place], done, local.get(name)))
        local.pop(name, None)
    if failed is not None:
        raise failed


def _record(question: BatchQuestion, done: JobResult, local: LocalRun | None) -> Run:
    """The record of an answer, with the times of a run alone."""
    recorder = RunRecorder(question.recipe, local)
    if local is None or not local.plain:
        return recorder.record(done, done.seconds)
    stages = local.meter("target").stages
    first_token = sum(seconds for name, seconds in stages.items() if name != "decode")
    return recorder.record(done, sum(stages.values()), first_token)


def _unrefused(
    error: BaseException,
    questions: Mapping[int, BatchQuestion],
    places: list[int],
    refuse: Refuse | None,
) -> BaseException | None:
    """The error, unless `refuse` handles it; then its message names the recipe."""
    if refuse is None or not isinstance(error, UnfitError):
        return error
    error.message = f"{questions[places[0]].recipe.spelling}: {error.message}"
    for place in places:
        refuse(place, error)
    return None


def without_seed(recipe: Recipe) -> Recipe:
    """The recipe without its seed; searches with equal results can run together."""
    return replace(recipe, seed=0)
