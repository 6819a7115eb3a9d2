"""Inter-token latency of a running sequence while a long prompt is prefilled beside it.

    python benchmarks/prefill_latency.py smollm2 --tokens 6000 [--method snapkv] [--log]

One sequence decodes alone, then while the scheduler prefills a prompt in slices. Figures are
medians and maxima over the steps, in milliseconds, and the seconds of the prefill with and without
a running sequence. The peak cache is that of the long prompt.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from peers import THREADS
from prose import passage, prose
from report import publish

COLUMNS = [
    "model", "prompt", "method", "alone ms", "beside a prefill ms", "×", "longest ms",
    "prefill alone s", "prefill s", "peak MiB", "alone MiB",
]  # fmt: skip


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=6000)
    parser.add_argument("--methods", nargs="*", default=["", "snapkv"], help="'' is exact")
    parser.add_argument("--seconds", type=float, help="prefill between two steps")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    rows = [measure(options, method) for method in options.methods]
    publish(f"latency beside a prefill, {options.model}", COLUMNS, rows, options.log)


@dataclass
class Case:
    """Models, and prompts as sequences of one scheduler."""

    options: argparse.Namespace
    method: str
    target: Any = None
    gaps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        import torch

        from forethought.models.load import load

        torch.set_num_threads(THREADS)
        self.target = load(self.options.model)

    def sequence(self, tokens: int, new: int, method: str = "") -> Any:
        """A sequence behind so many tokens of prose, and its prompt."""
        from forethought import catalogue
        from forethought.contracts.records import Prompt
        from forethought.engine.meter import Meter
        from forethought.engine.sequence import Prefill, Sequence, SequenceStart
        from forethought.prefill.prepare import Preparation, prefill_all

        encode = self.target.tokenizer.encode
        ids = tuple(encode(passage(prose(), tokens * 6, seed=0))[:tokens])
        prompt = Prompt(ids, tuple((n, n + 1) for n in range(tokens)), "x" * tokens)
        methods = ((method, catalogue.build(method)),) if method else ()
        preparation = Preparation(methods, self.target, self.target, new)
        prepared = preparation.prepare(prompt, Meter(time.perf_counter))

        def begin() -> Any:
            if prepared.error:
                raise prepared.error
            return SequenceStart(prepared.result.cache, prepared.result.logits)

        prefill = Prefill(lambda: prefill_all([prepared], time.perf_counter))
        network = self.target.for_length(tokens + new).network
        meter = Meter(time.perf_counter)
        return Sequence(network, meter, begin, prefill, max_tokens=new), prepared


def measure(options: argparse.Namespace, method: str) -> dict[str, Any]:
    """The row of one method."""
    from forethought.engine.scheduler import Scheduler

    case = Case(options, method)
    scheduler = Scheduler(prefill_seconds=options.seconds or 0.0)
    long, alone_prompt = case.sequence(options.tokens, 2, method)
    scheduler.add(long)
    start = time.perf_counter()
    while not scheduler.idle:
        scheduler.step()
    alone_prefill = time.perf_counter() - start

    running, _ = case.sequence(200, 1 << 20)
    scheduler.add(running)
    alone = steps(scheduler, lambda: len(running.tokens) >= 200)
    if options.seconds is None:
        scheduler.prefill_seconds = statistics.median(alone)
    long, prompt = case.sequence(options.tokens, 2, method)
    scheduler.add(long)
    start = time.perf_counter()
    beside = steps(scheduler, lambda: long.cache is not None or bool(long.finish))
    prefill = time.perf_counter() - start
    scheduler.cancel(running)
    usual, median = statistics.median(alone), statistics.median(beside)
    return {
        "model": options.model, "prompt": options.tokens, "method": method or "exact",
        "alone ms": f"{1e3 * usual:.1f}", "beside a prefill ms": f"{1e3 * median:.1f}",
        "×": f"{median / usual:.2f}", "longest ms": f"{1e3 * max(beside):.0f}",
        "prefill alone s": f"{alone_prefill:.2f}", "prefill s": f"{prefill:.2f}",
        "peak MiB": f"{prompt.meter.peak_cache_bytes / 2**20:.1f}",
        "alone MiB": f"{alone_prompt.meter.peak_cache_bytes / 2**20:.1f}",
    }  # fmt: skip


def steps(scheduler: Any, done: Any) -> list[float]:
    """Seconds of every step until something is done; each brings the running sequence a token."""
    found = []
    while not done():
        start = time.perf_counter()
        scheduler.step()
        found.append(time.perf_counter() - start)
    return found[1:]


if __name__ == "__main__":
    main()
