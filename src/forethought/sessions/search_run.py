"""A recipe with a strategy meets a question: the search as events, and its record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from forethought import catalogue
from forethought.backends.openai.finish_reasons import withheld
from forethought.contracts.backend import Backend, Opened
from forethought.contracts.questions import Question, Task
from forethought.contracts.records import Cost, Event, Exact, Kept, Run, Timing
from forethought.contracts.search import Candidate, Found
from forethought.cost.flops import answer_flops, entry_bytes, prefill_flops
from forethought.driver.driver import Driver
from forethought.driver.job import GrownCandidates, Job, JobResult
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.models.model import Model
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.tasks.same_answers import SameAnswers


@dataclass(frozen=True)
class SearchRun:
    """What decides a search besides its question, and where it runs."""

    recipe: Recipe
    clock: Clock
    target: Model | None = None
    """What the cost of a plain answer is counted by, where it is known."""
    load_seconds: float = 0.0

    def events(
        self, backend: Backend, judges: Judges, identifier: str, question: Question
    ) -> Iterator[Event]:
        """Search, event by event; the last holds the run."""
        jobs = [job_of(self.recipe, identifier, question)]
        drive = Driver(judges.beside(backend, jobs))
        start, happened = self.clock(), drive.events(jobs)
        while True:
            try:
                for event in happened:
                    yield from self._told(event, self.clock() - start)
                return
            except KeyboardInterrupt:  # thrown in where an event was being shown
                drive.stop()

    def _told(self, event: GrownCandidates | JobResult, seconds: float) -> Iterator[Event]:
        match event:
            case GrownCandidates():
                for one in event.candidates:
                    yield Event("candidate", _grown(one))
            case JobResult(error=None):
                yield Event("done", {"run": self.record(event, seconds).document()})
            case JobResult(error=error) if error is not None:
                raise error

    def record(self, done: JobResult, seconds: float) -> Run:
        """The run's record, from what a drive found."""
        assert done.found is not None
        found, recipe = done.found, self.recipe
        several = bool(recipe.search) or recipe.samples > 1
        opened = done.opened or Opened(0, Kept(0, 0, ()))
        return Run(
            answer=found.best.text,
            recipe=recipe.spelling,
            seed=done.job.seed,
            finish=_ended(done),
            cost=replace(done.cost, seconds=seconds),
            # Nothing can be shown before the search has chosen; a server's tokens are not timed.
            timing=Timing(load=self.load_seconds, first_token=seconds if self.target else 0.0),
            exact=self._exact(opened.length, found.best),
            kept=opened.kept,
            run=done.job.run,
            confidence=_confidence(found) if several else None,
            candidates=tuple(_candidates(done)) if several else (),
            settings=recipe.settings,
            notes=(*opened.notes, *found.notes, *_cut_short(done), *_of_server(done)),
        )

    def _exact(self, length: int, best: Candidate) -> Exact:
        """What one plain answer of that length would have cost behind the whole prompt."""
        if not length or self.target is None:
            return Exact(0.0, 0)
        shape = self.target.shape
        # The last token is read only for an end behind it.
        steps = best.tokens - (best.finish != "stop")
        flops = prefill_flops(shape, length) + answer_flops(shape, length, steps)
        return Exact(flops, length * entry_bytes(shape, self.target.network.dtype.itemsize))


def job_of(recipe: Recipe, identifier: str, question: Question, task: Task | None = None) -> Job:
    """The job that a recipe makes of a question; without a search, one of plain answers."""
    scorer = catalogue.build(recipe.scorer, "scorers").on_task(task) if recipe.scorer else None
    return Job(
        run=identifier,
        question=question,
        strategy=catalogue.build(recipe.search or _plain(recipe), "strategies"),
        reader=SameAnswers(),
        scorer=scorer,
        limit=recipe.limit,
        seed=recipe.seed,
        max_tokens=recipe.max_tokens,
        named=run_identifier(recipe.asking, question.text, question.document),
    )


def _ended(done: JobResult) -> str:
    """How the answer ended; where it is a beginning, what cut it short."""
    assert done.found is not None
    own = "" if done.cut == "interrupted" else done.found.best.finish
    if done.cut == "context":  # a text that was cut short by it is as long as it can be
        return "length" if own in ("", "budget") else own
    return own or done.cut or "length"


def _cut_short(done: JobResult) -> Iterator[str]:
    """What a reader should know of a search that left something undone."""
    assert done.found is not None
    if done.cut == "context" and done.short not in done.found.notes:
        yield f"the search ended with what it had: {done.short}"
    if not done.budget_spent:
        return
    cost, timed = done.cost, done.job.limit.seconds is not None
    if not timed and not (cost.prompt_tokens or cost.output_tokens or cost.draft_tokens):
        yield "the budget does not cover reading the prompt"
    elif done.found.best.whole:
        yield "the budget ended the search before it had done all that it would have"


def _of_server(done: JobResult) -> Iterator[str]:
    """What a reader should know of the server that was asked."""
    assert done.found is not None
    found = done.found
    yield from withheld(one.finish for one in found.considered or (found.best,))
    yield from in_vain(done.lost)
    if done.beyond:
        stopped = "; nothing more was spent" if done.job.limit.usd is not None else ""
        yield (
            f"the server counts more tokens than there can be: it charged ${done.beyond:.2g} above "
            f"what was set aside{stopped}"
        )


def in_vain(lost: Cost) -> Iterator[str]:
    """What a reader should know of a server that did more than is counted."""
    read, written = lost.prompt_tokens + lost.cached_tokens, lost.output_tokens
    if read or written:
        yield (
            f"beyond the cost, the server read {read:,} and wrote {written:,} tokens in vain: "
            "connections broke, or it wrote more than it was asked for"
        )


def _plain(recipe: Recipe) -> str:
    return "greedy" if recipe.warmth == 0 else f"majority-vote(n={recipe.samples})"


def _confidence(found: Found) -> dict[str, Any] | None:
    if found.confidence is None:
        return None
    return {"value": found.confidence, "method": "agreement", "calibrated": False}


def _candidates(done: JobResult) -> Iterator[dict[str, Any]]:
    """Everything that was chosen among or given up, as plain JSON values."""
    assert done.found is not None
    found = done.found
    weights = found.weights or (None,) * len(found.considered)
    for candidate, weight in zip(found.considered, weights, strict=True):
        yield _listed(done, candidate, weight, pruned=False)
    for candidate in found.pruned:
        yield _listed(done, candidate, None, pruned=True)


def _listed(
    done: JobResult, one: Candidate, weight: float | None, *, pruned: bool
) -> dict[str, Any]:
    document = {
        "path": list(one.path),
        **({"question": one.question} if one.question else {}),
        **({"writer": one.writer} if "draft" in done.job.strategy.needs else {}),
        "text": one.text,
        "tokens": one.tokens,
        "log_probability": one.log_probability,
        "summed": one.scored_tokens,
        "finish": one.finish,
        "score": done.scores.get(one.identity),
        "weight": weight,
        "pruned": pruned,
        "chosen": done.found is not None and one.identity == done.found.best.identity,
    }
    return document if len(one.steps) < 2 else {**document, "steps": _steps(done, one)}


def _steps(done: JobResult, one: Candidate) -> list[dict[str, Any]]:
    """The pieces of a candidate, each with what the beginning up to there scored."""
    return [
        {"text": text, "score": done.scores.get((one.question, one.path[: place + 1]))}
        for place, text in enumerate(one.steps)
    ]


def _grown(one: Candidate) -> dict[str, Any]:
    return {
        "path": list(one.path),
        **({"question": one.question} if one.question else {}),
        **({"writer": one.writer} if one.writer != "target" else {}),
        "text": one.steps[-1] if one.steps else "",
        "tokens": one.tokens,
        "finish": one.finish,
    }
