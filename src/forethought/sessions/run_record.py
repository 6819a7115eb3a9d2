"""The record of a run, from the result of its job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from forethought.backends.local.local_run import LocalRun
from forethought.backends.openai.finish_reasons import withheld
from forethought.contracts.backend import Opened
from forethought.contracts.choices import AutoChoice
from forethought.contracts.records import Cost, Exact, Kept, Run, Timing
from forethought.contracts.search import Ability, Candidate, Found
from forethought.contracts.spending import Settlement
from forethought.cost.flops import answer_flops, entry_bytes, prefill_flops
from forethought.driver.job import JobResult
from forethought.recipes.recipe import Recipe
from forethought.sessions.answer_confidence import (
    ABSTAINED,
    confidence_document,
    reason_to_abstain,
)
from forethought.storage.calibrations import stored_calibrations

_WRITERS: frozenset[Ability] = frozenset({"draft", "shortened-prompt"})
"""What a strategy of several writers needs."""


@dataclass(frozen=True)
class RunRecorder:
    """Writes the records of a recipe's runs."""

    recipe: Recipe
    local: LocalRun | None = None
    """The run's models and prompts on this machine; None for a server."""
    load_seconds: float = 0.0
    remarks: tuple[str, ...] = ()
    """Notes that are known before the run."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds of the stages before a server's answer, once they have ended."""
    streams: bool = False
    """Whether the answers of a server stream."""
    choices: tuple[AutoChoice, ...] = ()
    """Settings that were chosen for this run."""

    def record(self, result: JobResult, seconds: float, first_token: float = 0.0) -> Run:
        """The record of a run, from the result of its job."""
        found = result.found or Found(Candidate())
        several = not self.recipe.plain or self.recipe.samples > 1
        opened = result.opened or Opened(0, Kept(0, self._length, ()))
        sure = self._confidence(found) if several else None
        settled = found.settlement or Settlement()
        withheld = settled.abstained or reason_to_abstain(self.recipe, sure)
        return Run(
            answer="" if withheld else found.best.text,
            recipe=self.recipe.spelling,
            seed=result.job.seed,
            finish=ABSTAINED if withheld else self._finish(result, found),
            cost=replace(result.cost, seconds=seconds),
            timing=self._timing(found, seconds, first_token),
            exact=self._exact(found),
            kept=opened.kept,
            run=result.job.run,
            confidence={**(sure or {}), "abstained": withheld} if withheld else sure,
            candidates=tuple(self._candidates(result, found)) if several else (),
            settings=self.recipe.settings,
            notes=tuple(dict.fromkeys(self._notes(result, found, opened))),
            decisions=tuple(one.document() for one in settled.decisions),
            choices=tuple(one.document() for one in self.choices),
        )

    def _confidence(self, found: Found) -> dict[str, Any] | None:
        known = stored_calibrations() if found.estimates else []
        return confidence_document(self.recipe, found, known)

    @property
    def plain(self) -> bool:
        """Whether answers stream, and the first one is the answer."""
        return self.streams if self.local is None else self.local.plain

    @property
    def shows_candidates(self) -> bool:
        """Whether candidates of a search are events: not of an answer that may be withheld."""
        return not self.plain and not self.recipe.may_abstain

    @property
    def _length(self) -> int:
        """Tokens of the whole prompt; 0 if a server does not report them."""
        return self.local.prompt_length if self.local is not None else 0

    def _finish(self, result: JobResult, found: Found) -> str:
        if not self.plain:
            return _ended_by(result, found)
        if result.found is None or result.cut == "interrupted":
            return "interrupted"
        ends = [one.finish for one in found.considered]
        return "budget" if "budget" in ends else ends[0]

    def _timing(self, found: Found, seconds: float, first_token: float) -> Timing:
        if self.local is None:
            later = max(1, found.best.tokens - 1)
            per_token = (seconds - first_token) / later if first_token else 0.0
            return Timing(self.load_seconds, first_token, per_token, self.stages)
        stages = dict(self.local.meter("target").stages)
        steps = sum(map(_decode_steps, found.considered or (found.best,)))
        return Timing(
            load=self.load_seconds,
            # A search shows nothing before its final choice.
            first_token=first_token if self.plain else seconds,
            per_token=stages.get("decode", 0.0) / steps if steps and self.plain else 0.0,
            stages=stages if self.plain else {},
        )

    def _exact(self, found: Found) -> Exact:
        """The cost of an exact run with the same answers; of a search, with its one answer."""
        if self.local is None or not self._length:
            return Exact(0.0, 0)
        shape, out = self.local.shape, self.local.left_out
        length, cached = out + self._length, out + self.local.cached
        answers = found.considered if self.plain else (found.best,)
        flops = prefill_flops(shape, length)
        flops -= prefill_flops(shape, cached) if self.local.cached else 0.0
        flops += sum(answer_flops(shape, length, _decode_steps(one)) for one in answers)
        itemsize = self.local.target.network.dtype.itemsize
        return Exact(flops, length * entry_bytes(shape, itemsize))

    def _notes(self, result: JobResult, found: Found, opened: Opened) -> Iterator[str]:
        yield from self.remarks
        yield from opened.notes
        yield from found.notes
        yield from _cut_short(result, found, plain=self.plain)
        if self.local is None:
            yield from _of_server(result, found)

    def _candidates(self, result: JobResult, found: Found) -> Iterator[dict[str, Any]]:
        return map(_sample, found.considered) if self.plain else _candidates(result, found)


def _ended_by(result: JobResult, found: Found) -> str:
    """The finish reason of a search's answer; for a partial one, the limit that ended it."""
    own = "" if result.cut == "interrupted" else found.best.finish
    if result.cut == "context":  # the context left no room for a longer text
        return "length" if own in ("", "budget") else own
    return own or result.cut or "length"


def _cut_short(result: JobResult, found: Found, *, plain: bool) -> Iterator[str]:
    """Notes on a run that a limit ended early."""
    if result.cut == "context" and result.overflow not in found.notes:
        yield f"the search ended with its candidates so far: {result.overflow}"
    if not result.budget_spent:
        return
    cost, timed = result.cost, result.job.limit.seconds is not None
    prefilled = result.opened is not None or cost.prompt_tokens or cost.output_tokens
    if not timed and not prefilled and not found.best.tokens:
        yield "the prefill of the prompt takes more than the budget"
    elif found.best.whole and not plain:
        yield "the budget ended the search early"


def _of_server(result: JobResult, found: Found) -> Iterator[str]:
    """Notes on the server that answered."""
    yield from withheld(one.finish for one in found.considered or (found.best,))
    yield from wasted_work(result.lost)
    if result.beyond:
        stopped = "; nothing more was spent" if result.job.limit.usd is not None else ""
        yield (
            f"the server counts more tokens than there can be: it charged ${result.beyond:.2g} "
            f"above its leases{stopped}"
        )


def wasted_work(lost: Cost) -> Iterator[str]:
    """A note on wasted work of a server, which no cost includes."""
    prompt, output = lost.prompt_tokens + lost.cached_tokens, lost.output_tokens
    if prompt or output:
        yield (
            f"beyond the cost, the server wasted {prompt:,} prompt and {output:,} output tokens: "
            "connections broke, or it decoded more than requested"
        )


def _decode_steps(one: Candidate) -> int:
    """Decode steps of an answer; its first token comes from the prefill."""
    return max(0, one.scored_tokens - 1)


def _sample(one: Candidate) -> dict[str, Any]:
    """One of several plain answers, as plain JSON values."""
    return {
        "candidate": one.path[0] if one.path else 0,
        "text": one.text,
        "tokens": one.tokens,
        "log_probability": one.log_probability,
        "finish": one.finish or "interrupted",
        **_reasoned(one),
    }


def _candidates(result: JobResult, found: Found) -> Iterator[dict[str, Any]]:
    """All candidates of the final choice and all pruned ones, as plain JSON values."""
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
        **({"writer": one.writer} if _WRITERS & result.job.strategy.needs else {}),
        "text": one.text,
        "tokens": one.tokens,
        "log_probability": one.log_probability,
        **_reasoned(one),
        "summed": one.scored_tokens,
        "finish": one.finish,
        "score": result.scores.get(one.identity),
        "weight": weight,
        "pruned": pruned,
        "chosen": result.found is not None and one.identity == result.found.best.identity,
    }
    return document if len(one.steps) < 2 else {**document, "steps": _scored_steps(result, one)}


def _reasoned(one: Candidate) -> dict[str, int]:
    """The tokens of reasoning, if there are any."""
    return {"reasoning_tokens": one.reasoning_tokens} if one.reasoning_tokens else {}


def _scored_steps(result: JobResult, one: Candidate) -> list[dict[str, Any]]:
    """The pieces of a candidate, each with the score of the candidate up to there."""
    return [
        {"text": text, "score": result.scores.get((one.question, one.path[: place + 1]))}
        for place, text in enumerate(one.steps)
    ]
