"""A recipe meets a question: the run as events, and its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from forethought import catalogue
from forethought.backends.local.local_run import LocalRun
from forethought.backends.openai.finish_reasons import withheld
from forethought.contracts.backend import Backend, Opened, PromptReady, TokenDelta
from forethought.contracts.questions import Question, Task
from forethought.contracts.records import Cost, Event, Exact, Kept, Run, Timing
from forethought.contracts.search import Candidate, Found
from forethought.cost.flops import answer_flops, entry_bytes, prefill_flops
from forethought.driver.driver import Driver
from forethought.driver.job import GrownCandidates, Job, JobResult, PlainAnswer, Streamed
from forethought.driver.judges import Judges
from forethought.engine.meter import Clock
from forethought.recipes.identity import run_identifier
from forethought.recipes.recipe import Recipe
from forethought.tasks.same_answers import SameAnswers


@dataclass
class QuestionRun:
    """A recipe on its way through a question."""

    recipe: Recipe
    clock: Clock
    local: LocalRun | None = None
    """The models of this machine, where they answer."""
    load_seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    """Notes that are known before anything runs."""
    first_token: float = 0.0
    """Seconds to the first token of a plain answer."""
    _shown: Counter[int] = field(default_factory=Counter)
    """Characters shown of each plain answer."""

    def events(
        self, backend: Backend, judges: Judges | None, job: Job
    ) -> Generator[Event, None, None]:
        """Run, event by event; the last holds the run's record.

        A KeyboardInterrupt, raised inside or thrown in, ends the run with what there is. The
        connections of `judges` are closed at the end.
        """
        with judges or nullcontext():
            driver = Driver(judges.beside(backend, [job]) if judges else backend)
            start, happened = self.clock(), driver.events([job])
            notes = [_note(text) for text in self.remarks]
            while True:
                try:
                    while notes:
                        yield notes.pop(0)
                    for event in happened:
                        yield from self._told(event, self.clock() - start)
                    return
                except KeyboardInterrupt:  # thrown in where an event was being shown
                    driver.stop()

    def _told(self, event: GrownCandidates | Streamed | JobResult, now: float) -> Iterator[Event]:
        match event:
            case Streamed(event=TokenDelta() as delta):
                self.first_token = self.first_token or now
                self._shown[event.candidate] += len(delta.text)
                yield _token(delta, event.candidate)
            case Streamed(event=PromptReady() as ready):
                yield from map(_note, ready.opened.notes)
                for name in ready.stages:
                    yield self._stage(name)
            case GrownCandidates() if not self._plain:
                for one in event.candidates:
                    yield Event("candidate", _grown(one))
            case JobResult():
                yield from self._ended(event, now)

    def _ended(self, result: JobResult, now: float) -> Iterator[Event]:
        interrupted = self._plain and isinstance(result.error, KeyboardInterrupt)
        if result.error is not None and not interrupted:
            raise result.error
        if self._plain and result.found is not None:
            yield from self._last_texts(result.found)
            yield self._stage("decode")
        yield Event("done", {"run": self.record(result, now).document()})

    def record(self, result: JobResult, seconds: float) -> Run:
        """The run's record, from what the driver found."""
        found = result.found or Found(Candidate())
        several = bool(self.recipe.search) or self.recipe.samples > 1
        opened = result.opened or Opened(0, Kept(0, self._length, ()))
        return Run(
            answer=found.best.text,
            recipe=self.recipe.spelling,
            seed=result.job.seed,
            finish=self._finish(result, found),
            cost=replace(result.cost, seconds=seconds),
            timing=self._timing(found, seconds),
            exact=self._exact(found),
            kept=opened.kept,
            run=result.job.run,
            confidence=_confidence(found) if several else None,
            candidates=tuple(self._candidates(result, found)) if several else (),
            settings=self.recipe.settings,
            notes=tuple(dict.fromkeys(self._notes(result, found, opened))),
        )

    @property
    def _plain(self) -> bool:
        return self.local is not None and self.local.plain

    @property
    def _length(self) -> int:
        """Tokens of the whole prompt; 0 where a server does not tell."""
        return self.local.prompt_length if self.local is not None else 0

    def _stage(self, name: str) -> Event:
        assert self.local is not None, "stages are told by models of this machine"
        seconds = self.local.meter("target").stages.get(name, 0.0)
        return Event("stage", {"name": name, "seconds": seconds})

    def _last_texts(self, found: Found) -> Iterator[Event]:
        """The ends of answers that were held back until nothing more came."""
        for number, one in enumerate(found.considered):
            if rest := one.text[self._shown[number] :]:
                yield Event("token", {"text": rest, "candidate": number})

    def _finish(self, result: JobResult, found: Found) -> str:
        if not self._plain:
            return _ended_by(result, found)
        if result.found is None or result.cut == "interrupted":
            return "interrupted"
        ends = [one.finish for one in found.considered]
        return "budget" if "budget" in ends else ends[0]

    def _timing(self, found: Found, seconds: float) -> Timing:
        if self.local is None:
            return Timing(load=self.load_seconds)
        stages = dict(self.local.meter("target").stages)
        steps = sum(map(_decode_steps, found.considered or (found.best,)))
        return Timing(
            load=self.load_seconds,
            # A search shows nothing before it has chosen.
            first_token=self.first_token if self._plain else seconds,
            per_token=stages.get("decode", 0.0) / steps if steps and self._plain else 0.0,
            stages=stages if self._plain else {},
        )

    def _exact(self, found: Found) -> Exact:
        """What the answers would have cost behind the whole prompt; of a search, one answer."""
        if self.local is None or not self._length:
            return Exact(0.0, 0)
        shape, length = self.local.shape, self._length
        answers = found.considered if self._plain else (found.best,)
        flops = prefill_flops(shape, length)
        flops -= prefill_flops(shape, self.local.cached) if self.local.cached else 0.0
        flops += sum(answer_flops(shape, length, _decode_steps(one)) for one in answers)
        itemsize = self.local.target.network.dtype.itemsize
        return Exact(flops, length * entry_bytes(shape, itemsize))

    def _notes(self, result: JobResult, found: Found, opened: Opened) -> Iterator[str]:
        yield from self.remarks
        yield from opened.notes
        yield from found.notes
        yield from _cut_short(result, found, plain=self._plain)
        if self.local is None:
            yield from _of_server(result, found)

    def _candidates(self, result: JobResult, found: Found) -> Iterator[dict[str, Any]]:
        return map(_sample, found.considered) if self._plain else _candidates(result, found)


def job_of(
    recipe: Recipe, identifier: str, question: Question, task: Task | None = None, *, plain: bool
) -> Job:
    """The job of a question; `plain` where its answers are shown as they are decoded."""
    scorer = catalogue.build(recipe.scorer, "scorers").on_task(task) if recipe.scorer else None
    strategy = (
        PlainAnswer(recipe.samples)
        if plain
        else catalogue.build(recipe.search or _unsearched(recipe), "strategies")
    )
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
        named=run_identifier(recipe.asking, question.text, question.document),
    )


def _ended_by(result: JobResult, found: Found) -> str:
    """The finish reason of a search's answer; of a beginning, the limit that cut it short."""
    own = "" if result.cut == "interrupted" else found.best.finish
    if result.cut == "context":  # a text that was cut short by it is as long as it can be
        return "length" if own in ("", "budget") else own
    return own or result.cut or "length"


def _cut_short(result: JobResult, found: Found, *, plain: bool) -> Iterator[str]:
    """Notes on a run that left something undone."""
    if result.cut == "context" and result.short not in found.notes:
        yield f"the search ended with what it had: {result.short}"
    if not result.budget_spent:
        return
    cost, timed = result.cost, result.job.limit.seconds is not None
    if not timed and not (cost.prompt_tokens or cost.output_tokens or cost.draft_tokens):
        yield "the prefill of the prompt takes more than the budget"
    elif found.best.whole and not plain:
        yield "the budget ended the search before it had done all that it would have"


def _of_server(result: JobResult, found: Found) -> Iterator[str]:
    """Notes on the server that answered."""
    yield from withheld(one.finish for one in found.considered or (found.best,))
    yield from in_vain(result.lost)
    if result.beyond:
        stopped = "; nothing more was spent" if result.job.limit.usd is not None else ""
        yield (
            f"the server counts more tokens than there can be: it charged ${result.beyond:.2g} "
            f"above what was set aside{stopped}"
        )


def in_vain(lost: Cost) -> Iterator[str]:
    """A note on work of a server that is in no cost."""
    read, written = lost.prompt_tokens + lost.cached_tokens, lost.output_tokens
    if read or written:
        yield (
            f"beyond the cost, the server read {read:,} and wrote {written:,} tokens in vain: "
            "connections broke, or it wrote more than it was asked for"
        )


def _unsearched(recipe: Recipe) -> str:
    """The strategy of a plain answer from a server."""
    return "greedy" if recipe.warmth == 0 else f"majority-vote(n={recipe.samples})"


def _decode_steps(one: Candidate) -> int:
    """Decode steps of an answer: the prefill gives its first token, or its end."""
    return max(0, one.scored_tokens - 1)


def _confidence(found: Found) -> dict[str, Any] | None:
    if found.confidence is None:
        return None
    return {"value": found.confidence, "method": "agreement", "calibrated": False}


def _note(text: str) -> Event:
    return Event("note", {"text": text})


def _token(delta: TokenDelta, candidate: int) -> Event:
    data: dict[str, Any] = {
        "text": delta.text,
        "token": delta.token,
        "log_probability": delta.log_probability,
        "candidate": candidate,
    }
    if not delta.top:
        return Event("token", data)
    top = [{"token": n, "text": text, "log_probability": chance} for n, text, chance in delta.top]
    return Event("token", {**data, "top": top})


def _sample(one: Candidate) -> dict[str, Any]:
    """A plain answer among several, as plain JSON values."""
    return {
        "candidate": one.path[0] if one.path else 0,
        "text": one.text,
        "tokens": one.tokens,
        "log_probability": one.log_probability,
        "finish": one.finish or "interrupted",
    }


def _candidates(result: JobResult, found: Found) -> Iterator[dict[str, Any]]:
    """All candidates that were chosen among or given up, as plain JSON values."""
    weights = found.weights or (None,) * len(found.considered)
    for candidate, weight in zip(found.considered, weights, strict=True):
        yield _listed(result, candidate, weight, pruned=False)
    for candidate in found.pruned:
        yield _listed(result, candidate, None, pruned=True)


def _listed(
    result: JobResult, one: Candidate, weight: float | None, *, pruned: bool
) -> dict[str, Any]:
    document = {
        "path": list(one.path),
        **({"question": one.question} if one.question else {}),
        **({"writer": one.writer} if "draft" in result.job.strategy.needs else {}),
        "text": one.text,
        "tokens": one.tokens,
        "log_probability": one.log_probability,
        "summed": one.scored_tokens,
        "finish": one.finish,
        "score": result.scores.get(one.identity),
        "weight": weight,
        "pruned": pruned,
        "chosen": result.found is not None and one.identity == result.found.best.identity,
    }
    return document if len(one.steps) < 2 else {**document, "steps": _scored_steps(result, one)}


def _scored_steps(result: JobResult, one: Candidate) -> list[dict[str, Any]]:
    """The pieces of a candidate, each with the score of the beginning up to there."""
    return [
        {"text": text, "score": result.scores.get((one.question, one.path[: place + 1]))}
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
