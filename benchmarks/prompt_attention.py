"""Prefill attention of one layer: the compiled kernel, the same without a matrix unit, and torch.

    python benchmarks/prompt_attention.py --tokens 2048 8192 --threads 1 [--log]

The layer has 12 query heads and 2 KV heads of 128, as that of `qwen-coder-1.5b`. All take turns;
times are minima over the rounds. A FLOP counts for visible pairs alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F

from forethought.models.compiled import build
from forethought.models.compiled.check import agrees
from forethought.models.compiled.kernels import Kernels
from report import publish

HEADS, KV_HEADS, SIZE = 12, 2, 128
COLUMNS = ["tokens", "system", "ms", "GFLOP/s", "× compiled"]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=[2048, 8192])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    systems, own = {"torch": fused}, build._FLAGS
    with TemporaryDirectory() as folder:
        build.cache_root = lambda: Path(folder)
        for name, flags in {"compiled": (), "without a matrix unit": ("-mno-amx-bf16",)}.items():
            build._FLAGS = (*own, *flags)
            made = build.loaded(Kernels, agrees)
            if made is not None:
                systems[name] = compiled(made)
        rows = [
            row for tokens in options.tokens for row in measured(systems, tokens, options.rounds)
        ]
    publish("attention of a prompt, one layer", COLUMNS, rows, options.log)


Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object]


def compiled(made: Kernels) -> Attend:
    """The kernel, with the layout of values that it needs."""

    def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        mixed = queries.new_empty(len(queries), HEADS * SIZE)
        made.attend_prefill(queries, SIZE**-0.5, keys, made.pair_values(values), 0, mixed)
        return mixed

    return attend


def fused(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Torch's own kernel."""
    return F.scaled_dot_product_attention(
        queries.transpose(0, 1)[None], keys[None], values[None], is_causal=True, enable_gqa=True
    )


def measured(systems: dict[str, Attend], tokens: int, rounds: int) -> list[dict[str, object]]:
    """Rows of the table for one length."""
    made = torch.Generator().manual_seed(0)
    sizes = (tokens, HEADS, SIZE), (KV_HEADS, tokens, SIZE), (KV_HEADS, tokens, SIZE)
    given = [torch.randn(size, generator=made).bfloat16() for size in sizes]
    least = dict.fromkeys(systems, float("inf"))
    for _ in range(rounds):
        for name, attend in systems.items():
            start = time.perf_counter()
            attend(*given)
            least[name] = min(least[name], time.perf_counter() - start)
    flops = 2 * HEADS * SIZE * tokens * (tokens + 1)
    return [
        {
            "tokens": tokens,
            "system": name,
            "ms": 1e3 * seconds,
            "GFLOP/s": flops / seconds / 1e9,
            "× compiled": least.get("compiled", seconds) / seconds,
        }
        for name, seconds in least.items()
    ]


if __name__ == "__main__":
    main()
