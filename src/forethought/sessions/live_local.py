"""Live requests for the models of this machine: all share one scheduler."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from forethought.backends.local.local import LocalBackend
from forethought.contracts.questions import Question
from forethought.driver.job import Job
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.engine.meter import Clock
from forethought.engine.scheduler import Scheduler
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.recipes.validation import check_money, check_search, no_draft
from forethought.sessions.live_session import LiveRequest
from forethought.sessions.question_run import job_of
from forethought.sessions.run_record import RunRecorder
from forethought.sessions.session import Session, built_methods, choice_notes, unused_draft

ModelOf = Callable[[str, str], Model]
"""(name, weights) to a loaded model."""
LEAST_SLICE = 0.004
"""Seconds of prefill between two decode passes, at least; one block of a small model."""


@dataclass
class LocalOpener:
    """Opens runs of models that `model_of` has loaded."""

    model_of: ModelOf
    default: Recipe
    """Names the model whose device the caches are on."""
    clock: Clock = time.perf_counter
    prefix_cache: PrefixCache | None = None
    """Entries of earlier requests; None computes every prompt anew."""
    max_running: int | None = None
    """Sequences that run at once; None for no limit but memory."""
    queue_waits: deque[float] | None = None
    """Takes the seconds that each sequence waits for admission; None records none."""
    backend: LocalBackend = field(init=False)

    def __post_init__(self) -> None:
        target = self.model_of(self.default.model, self.default.weights)
        scheduler = Scheduler(self.clock, prefill_seconds=LEAST_SLICE)
        scheduler.admission.max_running = self.max_running
        scheduler.admission.waits = self.queue_waits
        self.backend = LocalBackend(
            self.default,
            target,
            target,
            self.clock,
            scheduler=scheduler,
            prefix_cache=self.prefix_cache,
        )

    def close(self) -> None:
        """Do nothing: models of this machine hold no connections."""

    def before_step(self) -> None:
        """Give prefill as long between two decode passes as the last pass took.

        So the inter-token latency is about twice the usual one while long prompts prefill, and
        three times while short ones do, for any number of sequences.
        """
        scheduler = self.backend.scheduler
        if scheduler.pass_seconds:
            scheduler.prefill_seconds = max(LEAST_SLICE, scheduler.pass_seconds)

    def figures(self) -> dict[str, int]:
        """Counts of this moment, by name; other threads may call this."""
        admission, prefixes = self.backend.scheduler.admission, self.prefix_cache
        found = {
            "running": len(admission.running),
            "waiting": len(admission.waiting),
            "cache_bytes": admission.held_bytes,
            "cache_limit_bytes": admission.cache_bytes or 0,
        }
        if prefixes is None:
            return found
        return {
            **found,
            "prefix_cache_bytes": prefixes.bytes,
            "prefix_query_tokens": prefixes.counters.queried,
            "prefix_hit_tokens": prefixes.counters.hit,
        }

    def open(self, request: LiveRequest) -> tuple[RunRecorder, Job]:
        """The recorder and the job of a request, whose run stands in the back end."""
        session = self._session(request.recipe)
        asked = Question(request.name, request.question, request.document)
        recipe, choices = session.settled(asked, request.system, request.prompt)
        local = session.local_run(recipe, request.system)
        local.prompt, local.controls = request.prompt, request.controls
        local.tenant, local.visible = request.tenant, request.visible
        local.prompt_logprobs, local.predicted = request.prompt_logprobs, request.predicted
        local.verdict_prompts = request.verdict_prompts
        local.plain = local.plain and request.strategy is None
        job = job_of(recipe, request.name, asked, plain=local.plain)
        if request.strategy is not None:
            job = replace(job, strategy=request.strategy)
        if "draft" in job.strategy.needs and session.draft is session.target:
            raise no_draft()
        self.backend.runs[request.name] = local
        remarks = (*request.remarks, *choice_notes(choices), *unused_draft(local))
        return RunRecorder(recipe, local, remarks=remarks, choices=choices), job

    def _session(self, recipe: Recipe) -> Session:
        """The recipe with its models."""
        check_money(recipe)
        check_search(recipe)
        target = self.model_of(recipe.model, recipe.weights)
        own = recipe.draft == "self"
        draft = target if own else self.model_of(recipe.draft, recipe.weights)
        return Session(recipe, built_methods(recipe), target, draft, clock=self.clock)
