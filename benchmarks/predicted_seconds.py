"""Seconds of prefill and decode, measured and predicted from the probe of this machine.

    python benchmarks/predicted_seconds.py [--models smollm2 ...] [--lengths 1024 4096] [--log]

The probe runs first and knows none of the models: its decoders are random, and of other shapes.
A prediction counts as good within 25 %. `--processor` counts processor time of one thread, for a
machine on which other processes run: waiting for a core does not count, waiting for memory does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from forethought.cost.hardware import Hardware
from forethought.cost.precision import precision
from forethought.cost.roofline import Machine, decode_phase, prefill_phase
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Clock, Meter
from forethought.models.config_of import config_of
from forethought.models.load import load
from forethought.models.model import Model
from forethought.sessions.cost_stages import CHUNK
from forethought.sessions.machine_probe import probe
from prose import prose
from report import publish

MODELS = ("smollm2", "qwen-coder-0.5b", "qwen-coder-1.5b")
STEPS = 16
COLUMNS = ["model", "prompt", "phase", "measured s", "predicted s", "predicted / measured"]


def main() -> None:
    """Probe, measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    parser.add_argument("--processor", action="store_true")
    options = parser.parse_args()
    if options.threads or options.processor:
        torch.set_num_threads(1 if options.processor else options.threads)
    clock = time.process_time if options.processor else time.perf_counter
    start = time.perf_counter()
    machine = probe(clock)
    print(f"probe: {time.perf_counter() - start:.1f} s, {machine.measured}", flush=True)
    print(f"plain read {machine.bandwidth:.3g} B/s, product {machine.peak:.3g} FLOP/s", flush=True)
    rows = [
        row for name in options.models for row in rows_of(name, options.lengths, machine, clock)
    ]
    publish("seconds, predicted and measured", COLUMNS, rows, options.log)


def rows_of(name: str, lengths: list[int], machine: Hardware, clock: Clock) -> list[dict[str, Any]]:
    """The rows of a model."""
    model, sizes = load(name), config_of(name)
    text = model.tokenizer.encode(prose())
    weights = "bf16" if model.network.one_format else "int4"
    here = Machine(machine, precision(weights, here=True), weights)
    found = []
    measure(model, text[:512], clock)  # the first pass converts weights
    for length in lengths:
        tokens = (text * (length // len(text) + 1))[:length]
        prefill, step = measure(model, tokens, clock)
        told = prefill_phase(sizes, here, length, chunk=CHUNK).seconds
        found.append(_row(name, length, "prefill", prefill, told))
        told = decode_phase(sizes, here, length, STEPS).seconds / STEPS
        found.append(_row(name, length, "decode step", step, told))
        print(found[-2:], flush=True)
    return found


def _row(name: str, length: int, phase: str, measured: float, predicted: float) -> dict[str, Any]:
    values = (name, length, phase, measured, predicted, predicted / measured)
    return dict(zip(COLUMNS, values, strict=True))


def measure(model: Model, tokens: list[int], clock: Clock) -> tuple[float, float]:
    """Seconds of a prefill, and of the fastest decode step after it."""
    batch = Batch(model.network, Meter(clock))
    cache = SequenceCache(len(model.shape.layers), len(tokens) + STEPS + 2)
    with torch.inference_mode():
        prefill = timed(lambda: batch.prefill(cache, tokens), clock)
        batch.step([cache], [1])
        steps = [timed(lambda: batch.step([cache], [1]), clock) for _ in range(STEPS)]
    return prefill, min(steps)


def timed(run: Callable[[], object], clock: Clock) -> float:
    """Seconds of a call."""
    start = clock()
    run()
    return clock() - start


if __name__ == "__main__":
    main()
