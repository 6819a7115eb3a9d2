"""Live requests for a model on a server; the prompts may be compressed here."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import endpoints_of
from forethought.backends.openai.recipe_check import check_remote, params_of
from forethought.backends.openai.remote_run import RemoteRun
from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question
from forethought.cost.prices import Price
from forethought.driver.job import Job
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.engine.meter import Clock
from forethought.prefill.prefill_reuse import PrefillMemo, PrefillReuse
from forethought.recipes.recipe import Recipe
from forethought.recipes.validation import check_search
from forethought.sessions.live_session import LiveRequest
from forethought.sessions.question_run import job_of
from forethought.sessions.remote_compression import Loader, compression_of, unused_draft
from forethought.sessions.run_record import RunRecorder


@dataclass
class RemoteOpener:
    """Opens runs on the servers of one address.

    Opening probes the servers. All recipes that compress prompts have the draft of `recipe`, since
    the probe finds out whether the servers take its token ids.
    """

    recipe: Recipe
    """A recipe of this address and this draft."""
    load: Loader
    clock: Clock = time.perf_counter
    prices: Mapping[str, Price] = field(default_factory=dict)
    prefix_cache: PrefixCache | None = None
    """Entries that drafts reuse; None reuses nothing."""
    memo: PrefillMemo = field(default_factory=PrefillMemo)
    backend: OpenAIBackend = field(init=False)

    def __post_init__(self) -> None:
        check_remote(self.recipe)
        place, *replicas = endpoints_of(self.recipe.model)
        self.backend = OpenAIBackend(
            place, replicas=tuple(replicas), prices=self.prices, clock=self.clock
        )
        self.backend.compression = compression_of(self.recipe, self.load, self.clock)
        _ = self.backend.capabilities  # probes the servers

    def close(self) -> None:
        """Close the connections to the servers."""
        self.backend.close()

    def before_step(self) -> None:
        """Do nothing: requests run on the servers."""

    def figures(self) -> dict[str, int]:
        """Counts of this moment, by name."""
        found = {"running": len(self.backend.runs)}
        if (prefixes := self.prefix_cache) is None:
            return found
        return {
            **found,
            "prefix_cache_bytes": prefixes.bytes,
            "prefix_query_tokens": prefixes.counters.queried,
            "prefix_hit_tokens": prefixes.counters.hit,
        }

    def open(self, request: LiveRequest) -> tuple[RunRecorder, Job]:
        """The recorder and the job of a request, whose settings stand in the back end."""
        recipe = request.recipe
        check_remote(recipe)
        check_search(recipe)
        _check_controls(request)
        if recipe.judge:
            raise UsageError(
                f"{recipe.scorer} names a server of its own",
                "use a scorer without by=",
            )
        plain = recipe.plain
        asked = Question(request.name, request.question, request.document)
        job = job_of(recipe, request.name, asked, plain=plain)
        system, history = request.system, request.history
        compression = compression_of(recipe, self.load, self.clock, system, history=history)
        if compression is not None and self.prefix_cache is not None:
            compression.reuse = PrefillReuse(self.prefix_cache, self.memo, request.tenant)
        params = params_of(recipe, system, history)
        self.backend.runs[request.name] = RemoteRun(params, compression, streams=plain)
        return RunRecorder(
            recipe, remarks=(*request.remarks, *unused_draft(recipe)), streams=plain
        ), job


def _check_controls(request: LiveRequest) -> None:
    """Raise UsageError for controls of decoding, which servers do not take from here."""
    if not request.controls.default or request.prompt_logprobs is not None:
        raise UsageError(
            "penalties, biases, grammars and log-probabilities need a model on this machine",
            "leave them out, or name a model that runs here",
        )
