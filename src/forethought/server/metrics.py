"""Prometheus metrics under vLLM's names, and our own under `forethought:`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LABELS = ("model_name", "engine")
_ENGINE = "0"
_LATENCIES = (0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
              20.0, 40.0, 80.0, 160.0, 640.0)  # fmt: skip
_TOKENS = tuple(factor * 10**power for power in range(6) for factor in (1, 2, 5))
_CHOICES = (1, 2, 5, 10, 20, 50, 100)
_COUNTERS = {
    "vllm:prompt_tokens": "Prompt tokens prefilled.",
    "vllm:prompt_tokens_cached": "Prompt tokens found in the KV cache.",
    "vllm:generation_tokens": "Tokens decoded.",
    "vllm:prefix_cache_queries": "Prompt tokens looked up in the prefix cache.",
    "vllm:prefix_cache_hits": "Prompt tokens found in the prefix cache.",
    "vllm:spec_decode_num_draft_tokens": "Drafted tokens of answers that were verified.",
    "vllm:spec_decode_num_accepted_tokens": "Drafted tokens that answers took.",
    "forethought:kept_prompt_tokens": "Prompt tokens or entries that approximations kept.",
    "forethought:dropped_prompt_tokens": "Prompt tokens or entries that approximations dropped.",
    "forethought:draft_tokens": "Tokens that drafts prefilled or decoded.",
    "forethought:draft_seconds": "Seconds of drafts.",
    "forethought:scoring_tokens": "Tokens processed only to score candidates.",
    "forethought:lease_refusals": "Runs whose budget ended them.",
    "forethought:cancelled_requests": "Requests whose client left.",
}
_HISTOGRAMS = {
    "vllm:time_to_first_token_seconds": ("Time to first token.", _LATENCIES),
    "vllm:inter_token_latency_seconds": ("Time between two tokens of a stream.", _LATENCIES),
    "vllm:request_time_per_output_token_seconds": ("Mean time per output token.", _LATENCIES),
    "vllm:e2e_request_latency_seconds": ("Time of a whole request.", _LATENCIES),
    "vllm:request_queue_time_seconds": ("Time that a sequence waits for admission.", _LATENCIES),
    "vllm:request_prefill_time_seconds": (
        "Time to the first token, the queue included.",
        _LATENCIES,
    ),
    "vllm:request_decode_time_seconds": ("Time after the first token.", _LATENCIES),
    "vllm:request_prompt_tokens": ("Tokens of a prompt.", _TOKENS),
    "vllm:request_generation_tokens": ("Tokens of an answer.", _TOKENS),
    "vllm:request_params_n": ("Choices of a request.", _CHOICES),
    "vllm:request_params_max_tokens": ("Maximum tokens of a request.", _TOKENS),
}
_GAUGES = {
    "vllm:num_requests_running": "Requests that the engine runs.",
    "vllm:num_requests_waiting": "Requests that wait for memory.",
    "vllm:kv_cache_usage_perc": "Share of the KV cache memory in use, 0 to 1.",
    "forethought:prefix_cache_bytes": "Bytes of the prefix cache.",
}
Snapshot = Callable[[], Mapping[str, float]]
"""The gauges at this moment, by name."""


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(
        self, model: str, snapshot: Snapshot, clock: Callable[[], float], waits: deque[float]
    ) -> None:
        self._snapshot, self._clock, self._waits = snapshot, clock, waits
        self.registry = CollectorRegistry()
        named = {"model_name": model, "engine": _ENGINE}
        at = self.registry
        self._counters = {
            name: Counter(name, told, _LABELS, registry=at).labels(**named)
            for name, told in _COUNTERS.items()
        }
        self._histograms = {
            name: Histogram(name, told, _LABELS, registry=at, buckets=buckets).labels(**named)
            for name, (told, buckets) in _HISTOGRAMS.items()
        }
        self._gauges = {
            name: Gauge(name, told, _LABELS, registry=at).labels(**named)
            for name, told in _GAUGES.items()
        }
        success = Counter(
            "vllm:request_success", "Requests by finish reason.", (*_LABELS, "finished_reason"),
            registry=at,
        )  # fmt: skip
        self._finished = {
            reason: success.labels(**named, finished_reason=reason)
            for reason in ("stop", "length", "abort", "error")
        }

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        for name, value in self._snapshot().items():
            self._gauges[name].set(value)
        while self._waits:
            self.observe({"vllm:request_queue_time_seconds": self._waits.popleft()})
        return generate_latest(self.registry)

    def watch(self, choices: int, max_tokens: int) -> RequestWatch:
        """Observe a request that begins now."""
        self.observe({"vllm:request_params_n": choices})
        self.observe({"vllm:request_params_max_tokens": max_tokens})
        return RequestWatch(self, self._clock)

    def observe(self, values: Mapping[str, float]) -> None:
        """Add one observation to each of these histograms."""
        for name, value in values.items():
            self._histograms[name].observe(max(0.0, value))

    def add(self, values: Mapping[str, float]) -> None:
        """Raise these counters."""
        for name, value in values.items():
            self._counters[name].inc(max(0.0, value))

    def finished(self, reason: str) -> None:
        """Count a request that ended: stop, length, abort or error."""
        self._finished[reason].inc()


@dataclass
class RequestWatch:
    """The times of one request."""

    metrics: Metrics
    clock: Callable[[], float] = time.perf_counter
    started: float = field(init=False)
    first: float = 0.0
    newest: float = 0.0
    ended: bool = False

    def __post_init__(self) -> None:
        self.started = self.clock()

    def token(self) -> None:
        """A token arrived."""
        now = self.clock()
        if self.first:
            self.metrics.observe({"vllm:inter_token_latency_seconds": now - self.newest})
        else:
            self.first = now
            self.metrics.observe({"vllm:time_to_first_token_seconds": now - self.started})
        self.newest = now

    def done(self, run: Mapping[str, Any]) -> None:
        """The request ended with this run."""
        self.ended = True
        self.metrics.add(dict(_counted(run)))
        self.metrics.observe(dict(self._timed(run)))
        self.metrics.finished("stop" if run["finish"] in ("stop", "abstained") else "length")

    def failed(self) -> None:
        """The request ended with an error."""
        self.ended = True
        self.metrics.finished("error")

    def close(self) -> None:
        """The consumer is done; a request that had not ended was aborted."""
        if not self.ended:
            self.ended = True
            self.metrics.finished("abort")
            self.metrics.add({"forethought:cancelled_requests": 1})

    def _timed(self, run: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        now, cost = self.clock(), run["cost"]
        yield "vllm:e2e_request_latency_seconds", now - self.started
        yield "vllm:request_prompt_tokens", prompt_tokens(run)
        yield "vllm:request_generation_tokens", cost["output_tokens"]
        if self.first:
            decoding = now - self.first
            yield "vllm:request_prefill_time_seconds", self.first - self.started
            yield "vllm:request_decode_time_seconds", decoding
            if cost["output_tokens"] > 1:
                each = decoding / (cost["output_tokens"] - 1)
                yield "vllm:request_time_per_output_token_seconds", each


def prompt_tokens(run: Mapping[str, Any]) -> int:
    """Tokens of the prompt before any method shortens it."""
    cost = run["cost"]
    return int(run["kept"]["of"] or cost["prompt_tokens"] + cost["cached_tokens"])


def _counted(run: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    cost, kept = run["cost"], run["kept"]
    yield "vllm:prompt_tokens", cost["prompt_tokens"]
    yield "vllm:prompt_tokens_cached", cost["cached_tokens"]
    yield "vllm:prefix_cache_queries", cost["prompt_tokens"] + cost["cached_tokens"]
    yield "vllm:prefix_cache_hits", cost["cached_tokens"]
    yield "vllm:generation_tokens", cost["output_tokens"]
    yield "vllm:spec_decode_num_draft_tokens", cost.get("verified_tokens", 0)
    yield "vllm:spec_decode_num_accepted_tokens", cost.get("accepted_tokens", 0)
    yield "forethought:kept_prompt_tokens", kept["prompt_tokens"]
    yield "forethought:dropped_prompt_tokens", kept["of"] - kept["prompt_tokens"]
    yield "forethought:draft_tokens", cost["draft_tokens"]
    yield "forethought:draft_seconds", run["timing"]["stages"].get("draft", 0.0)
    yield "forethought:scoring_tokens", cost["scoring_tokens"]
    yield "forethought:lease_refusals", run["finish"] == "budget"


def gauges(figures: Mapping[str, float]) -> dict[str, float]:
    """The gauges of an engine's counts."""
    held, limit = figures.get("cache_bytes", 0), figures.get("cache_limit_bytes", 0)
    prefixes = figures.get("prefix_cache_bytes", 0)
    return {
        "vllm:num_requests_running": figures.get("running", 0),
        "vllm:num_requests_waiting": figures.get("waiting", 0),
        "vllm:kv_cache_usage_perc": min(1.0, (held + prefixes) / limit) if limit else 0.0,
        "forethought:prefix_cache_bytes": prefixes,
    }
