"""Sparse prefill settings beside dense attention, layer by layer, over one prompt of a task.

    python benchmarks/sparse_prefill_layers.py qwen-coder-1.5b --task "vt(tokens=16000)" \\
        --settings flash-prefill "flash-prefill(block=64,alpha=0.3)"

Every layer runs dense, and each setting computes the same layer beside it, so that all settings see
the same tensors. Density is the share of query-key pairs that a setting computes, choosing
included. Error is the norm of its difference to dense attention, divided by the norm of dense
attention. The part of attention in a prefill bounds what any sparse attention can save: the last
line states it. With `--every`, sums are those of the compared layers times their distance, so
settings need `dense_layers=0`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

COLUMNS = ["setting", "seconds", "of dense", "density", "error", "worst error"]


@dataclass
class Sums:
    """What one setting took and did, a number for each layer that it computed."""

    seconds: list[float] = field(default_factory=list)
    densities: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)


def main() -> None:
    """Measure one prompt and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--task", default="vt(tokens=16000)")
    parser.add_argument("--settings", nargs="+", default=["flash-prefill"])
    parser.add_argument("--every", type=int, default=1, help="compare every so many layers")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    from forethought.models.hardware.native_settings import settle

    settle(os.environ)
    measure(options)


def measure(options: argparse.Namespace) -> None:
    """Prefill once, with every setting at every compared layer."""
    import torch

    from forethought import catalogue
    from forethought.engine.attention.prefill import Visibility, attend_causal
    from forethought.engine.batch import Batch
    from forethought.engine.cache.sequence_cache import SequenceCache
    from forethought.engine.meter import Meter
    from forethought.engine.new_tokens import LayerHook
    from forethought.models.chat.prompt import chat_prompt
    from forethought.models.load import load
    from report import publish

    model = load(options.model)
    task = catalogue.build(options.task, "tasks")
    question = next(iter(task.questions(lambda text: len(model.tokenizer.encode(text)))))
    ids = chat_prompt(model.tokenizer, model.template, question.text, question.document).tokens
    methods = {one: catalogue.build(one) for one in options.settings}
    found: dict[str, Sums] = defaultdict(Sums)
    aside = 0.0

    def attend(view: Any) -> None:
        nonlocal aside
        if view.layer % options.every:
            return
        began = time.perf_counter()
        dense = attend_causal(view.queries, view.keys, view.values, view.shape, Visibility())
        found[""].seconds.append(time.perf_counter() - began)
        pairs = len(view.queries) * (len(view.queries) + 1) / 2
        for spelling, method in methods.items():
            start = time.perf_counter()
            sparse = method.on_attention(view)
            spent, own = time.perf_counter() - start, found[spelling]
            own.seconds.append(found[""].seconds[-1] if sparse is None else spent)
            own.densities.append(1.0 if sparse is None else sparse.pairs / pairs)
            error = 0.0 if sparse is None else float((sparse.out - dense).norm() / dense.norm())
            own.errors.append(error)
        aside += time.perf_counter() - began

    began = time.perf_counter()
    with torch.inference_mode():
        hook = LayerHook(lambda view: None, len(ids), attend=attend)
        batch = Batch(model.network, Meter(time.perf_counter))
        batch.prefill_whole(SequenceCache(len(model.shape.layers)), ids, hook)
    whole = time.perf_counter() - began - aside
    dense = sum(found[""].seconds) * options.every
    rows = [row(spelling, found[spelling], options.every, dense) for spelling in methods]
    publish(f"{options.model}, {options.task}, {len(ids):,} tokens", COLUMNS, rows, options.log)
    print(f"prefill {whole:.1f} s, dense attention {dense:.1f} s of it; "
          f"without attention {whole - dense:.1f} s")  # fmt: skip


def row(spelling: str, own: Sums, every: int, dense: float) -> dict[str, Any]:
    """A line of the table: sums of seconds, means of the rest."""
    seconds = sum(own.seconds) * every
    return {
        "setting": spelling,
        "seconds": seconds,
        "of dense": seconds / dense,
        "density": statistics.mean(own.densities),
        "error": statistics.mean(own.errors),
        "worst error": max(own.errors),
    }


if __name__ == "__main__":
    main()
