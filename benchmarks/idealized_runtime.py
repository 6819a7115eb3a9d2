"""Idealized runtime of a model on this machine: alpha, beta and gamma from a grid of requests.

    python benchmarks/idealized_runtime.py smollm2 [--prompts 1 64 256 1024] [--answers 1 8 32 64]

Each request runs alone and takes its fastest of `--trials`. The table shows the paper's fit and the
one with a term for the context, and their error on a request of another size.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch

from forethought.cost.idealized_runtime import Runtime, Timed, denoised, fit
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.models.load import load
from forethought.models.model import Model
from prose import prose
from report import publish

COLUMNS = [
    "model", "fit", "alpha at 256, s", "beta, s", "gamma, s", "R squared", "held out, s",
    "predicted, s",
]  # fmt: skip
HELD_OUT = (700, 100)
"""Prompt and answer of the request that no fit sees."""


def main() -> None:
    """Measure, fit and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--prompts", type=int, nargs="+", default=[1, 64, 256, 1024])
    parser.add_argument("--answers", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--save", help="write the requests for `forethought cost --timed`")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    model = load(options.model)
    tokens = model.tokenizer.encode(prose())
    grid = [(p, o) for p in options.prompts for o in options.answers] * options.trials
    measured = [request(model, tokens, *one) for one in grid]
    if options.save:
        Path(options.save).write_text(json.dumps([asdict(one) for one in measured]))
    held = denoised(request(model, tokens, *HELD_OUT) for _ in range(options.trials))[0]
    rows = [
        _row(options.model, name, fit(measured, by_context=more), held)
        for name, more in (("paper", False), ("with context", True))
    ]
    publish(f"idealized runtime, {options.model}", COLUMNS, rows, options.log)


def _row(model: str, name: str, found: Runtime, held: Timed) -> dict[str, object]:
    told = found.seconds(held.prompt, held.answer)
    alpha = found.first_token(256)
    values = (model, name, alpha, found.beta, found.gamma, found.fit, held.seconds, told)
    return dict(zip(COLUMNS, values, strict=True))


def request(model: Model, tokens: list[int], prompt: int, answer: int) -> Timed:
    """The time of a prompt and an answer of exactly so many tokens."""
    batch = Batch(model.network, Meter(time.perf_counter))
    cache = SequenceCache(len(model.shape.layers), prompt + answer)
    with torch.inference_mode():
        start = time.perf_counter()
        logits = batch.prefill(cache, tokens[:prompt])
        for _ in range(answer - 1):
            logits = batch.step([cache], [int(logits.argmax())])[0]
        return Timed(prompt, answer, time.perf_counter() - start)


if __name__ == "__main__":
    main()
