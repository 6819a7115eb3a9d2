"""A question's job, and its run as a stream of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from forethought import catalogue
from forethought.contracts.backend import Backend, PromptReady, TokenDelta
from forethought.contracts.questions import Question, Task
from forethought.contracts.records import Event, Run
from forethought.contracts.search import Candidate, Found, Scorer
from forethought.driver.driver import Driver, DriverEvent
from forethought.driver.job import Decided, GrownCandidates, Job, JobResult, PlainAnswer, Streamed
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.recipes.identity import run_identifier
from forethought.recipes.probes import probes_of
from forethought.recipes.recipe import Recipe
from forethought.sessions.run_record import RunRecorder
from forethought.tasks.same_answers import SameAnswers


@dataclass
class QuestionRun:
    """Runs a job and yields the events that users see."""

    recorder: RunRecorder
    clock: Clock
    started: float = 0.0
    """The clock's time when the job starts."""
    first_token: float = 0.0
    """Seconds to the first token of a plain answer."""
    ended: Callable[[Run], None] = lambda run: None
    """Called with the record of the run before its last event."""
    _shown: Counter[int] = field(default_factory=Counter)
    """Characters shown of each plain answer."""

    def events(
        self, backend: Backend, judges: Judges | None, job: Job
    ) -> Generator[Event, None, None]:
        """Run the job; the last event holds the run's record.

        A KeyboardInterrupt, raised inside or thrown in, ends the run with the text so far. The
        connections of `judges` are closed at the end.
        """
        with judges or nullcontext():
            driver = Driver(judges.with_judges(backend, [job]) if judges else backend)
            notes, events = self.begin(), driver.events([job])
            while True:
                try:
                    while notes:
                        yield notes.pop(0)
                    for event in events:
                        yield from self.events_of(event)
                    return
                except KeyboardInterrupt:  # thrown in by the consumer of an event
                    driver.stop()

    def begin(self) -> list[Event]:
        """Start the clock; the events before any of the driver's."""
        self.started = self.clock()
        return [_note(text) for text in self.recorder.remarks]

    def events_of(self, event: DriverEvent) -> Iterator[Event]:
        """The events that an event of the job becomes; raises the error of a failed job."""
        now = self.clock() - self.started
        match event:
            case Streamed(event=TokenDelta() as delta):
                self.first_token = self.first_token or now
                self._shown[event.candidate] += len(delta.text)
                yield _token(delta, event.candidate)
            case Streamed(event=PromptReady() as ready):
                yield from map(_note, ready.opened.notes)
                if ready.logprobs is not None:
                    yield Event("prompt", ready.logprobs.document())
                self.recorder.stages.update(ready.stages)
                for name, seconds in ready.stages.items():
                    yield Event("stage", {"name": name, "seconds": seconds})
            case GrownCandidates() if self.recorder.shows_candidates:
                for one in event.candidates:
                    yield Event("candidate", _grown(one))
            case Decided():
                yield Event("decision", event.decision.document())
            case JobResult():
                yield from self._last_events(event, now)

    def _last_events(self, result: JobResult, now: float) -> Iterator[Event]:
        interrupted = self.recorder.plain and isinstance(result.error, KeyboardInterrupt)
        if result.error is not None and not interrupted:
            raise result.error
        if self.recorder.plain and result.found is not None:
            yield from self._last_texts(result.found)
            if (local := self.recorder.local) is not None:
                seconds = local.meter("target").stages.get("decode", 0.0)
                yield Event("stage", {"name": "decode", "seconds": seconds})
        run = self.recorder.record(result, now, self.first_token)
        self.ended(run)
        yield Event("done", {"run": run.document()})

    def _last_texts(self, found: Found) -> Iterator[Event]:
        """The rest of each answer, which the stop matcher held back until the end."""
        for number, one in enumerate(found.considered):
            if rest := one.text[self._shown[number] :]:
                yield Event("token", {"text": rest, "candidate": number})


def job_of(
    recipe: Recipe, identifier: str, question: Question, task: Task | None = None, *, plain: bool
) -> Job:
    """The job of a question; a `plain` one streams its answers token by token."""
    scorer = _scorer(recipe.scorer, task) if recipe.scorer else None
    strategy = (
        PlainAnswer(recipe.samples)
        if plain
        else catalogue.build(recipe.search or _unsearched(recipe), "strategies")
    )
    asking = run_identifier(recipe.asking, question.text, question.document)
    # Elsewhere the target of such a recipe reads the shortened prompt.
    aside = ("whole",) if recipe.shortens_aside else ()
    return Job(
        run=identifier,
        question=question,
        strategy=strategy,
        reader=SameAnswers(),
        scorer=scorer,
        limit=recipe.limit,
        seed=recipe.seed,
        max_tokens=recipe.max_tokens,
        plain=plain,
        confidence={one: _scorer(one, task) for one in recipe.confidence},
        # Outcomes in the replay log hold the outputs of these probes alone.
        key_namespace="+".join((asking, *(one.key for one in probes_of(recipe)), *aside)),
    )


def _scorer(spelled: str, task: Task | None) -> Scorer:
    found: Scorer = catalogue.build(spelled, "scorers").on_task(task)
    return found


def _unsearched(recipe: Recipe) -> str:
    """The strategy of a plain answer from a server."""
    return "greedy" if recipe.warmth == 0 else f"majority-vote(n={recipe.samples})"


def _note(text: str) -> Event:
    return Event("note", {"text": text})


def _token(delta: TokenDelta, candidate: int) -> Event:
    data: dict[str, Any] = {
        "text": delta.text,
        "token": delta.token,
        "log_probability": delta.log_probability,
        "candidate": candidate,
        **({"reasoning": True} if delta.reasoning else {}),
    }
    if not delta.top:
        return Event("token", data)
    top = [{"token": n, "text": text, "log_probability": chance} for n, text, chance in delta.top]
    return Event("token", {**data, "top": top})


def _grown(one: Candidate) -> dict[str, Any]:
    return {
        "path": list(one.path),
        **({"question": one.question} if one.question else {}),
        **({"writer": one.writer} if one.writer != "target" else {}),
        "text": one.steps[-1] if one.steps else "",
        "tokens": one.tokens,
        "finish": one.finish,
    }
