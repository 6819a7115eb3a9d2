"""Sparse prefill attention beside dense attention: error and recalled mass against density.

    python benchmarks/sparse_attention_error.py qwen-coder-1.5b --tokens 4096 --layers 4 14 24

The tensors are queries, keys and values of one KV head: random ones, and those of some layers of
the model over prose. Density is the share of query-key pairs that a method computes, choosing
included. Error is the norm of the difference to dense attention in float64, divided by the norm of
dense attention. Recall is the mass of dense attention on the keys that a query sees, averaged over
queries; mean keys of dropped blocks count for the error alone. The rows go to a JSON file, and a
drawing shows them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from forethought import catalogue
from forethought.contracts.records import LayerShape
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.layer_view import CachedLayer
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import LayerHook
from forethought.models.load import load
from forethought.models.model import Model
from line_panels import Axes, chart
from prose import passage, prose
from report import publish

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "sparse-attention-error.json"
DRAWING = ROOT / "docs" / "sparse-attention.svg"
COLUMNS = ["tensors", "method", "density", "error", "recall"]
AXES = Axes(
    across="density",
    across_name="density",
    measures={"error": "error", "recall": "recalled mass"},
    label="Error and recalled mass of sparse attention against density",
)
METHODS = {
    "flash-prefill": [
        f"flash-prefill(alpha={alpha},dense_layers=0)" for alpha in (0.01, 0.1, 0.4, 1.0)
    ],
    "flash-prefill without means": [
        f"flash-prefill(alpha={alpha},dense_layers=0,means=False)"
        for alpha in (0.01, 0.1, 0.4, 1.0)
    ],
    "hyper-attention": [
        f"hyper-attention(exact=512,block={size},sample={size})" for size in (32, 64, 128, 256)
    ],
    "vertical-slash": [
        f"vertical-slash(columns={size},window={size})" for size in (128, 256, 512, 1024)
    ],
    "minference": [
        f"minference(columns={columns},slashes={slashes})"
        for columns, slashes in ((100, 100), (250, 250), (500, 700), (1000, 1500))
    ],
}


@dataclass(frozen=True)
class Head:
    """The tensors of one KV head: queries [T, G, D], keys and values [1, T, D]."""

    name: str
    queries: Tensor
    keys: Tensor
    values: Tensor
    scale: float
    model: Model

    def view(self, values: Tensor) -> CachedLayer:
        """The view for methods, with values of one's own."""
        length, groups, size = self.queries.shape
        return CachedLayer(
            layer=0,
            layers=1,
            shape=LayerShape(heads=groups, kv_heads=1, head_dim=size, scale=self.scale),
            queries=self.queries,
            keys=self.keys,
            values=values,
            positions=torch.arange(length)[None],
            prompt_length=length,
            protected=frozenset(),
            network=self.model.network,
        )

    def weights(self) -> Iterator[tuple[slice, Tensor]]:
        """Dense attention [rows, G, T] in float64, some rows at a time."""
        length = len(self.queries)
        for start in range(0, length, 256):
            rows = slice(start, min(start + 256, length))
            scores = self.queries[rows].double() @ self.keys[0].double().T * self.scale
            later = torch.arange(length) > torch.arange(rows.start, rows.stop)[:, None, None]
            yield rows, scores.masked_fill(later, -torch.inf).softmax(-1)


def main() -> None:
    """Measure, write the rows and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--layers", type=int, nargs="*", default=[4, 14, 24])
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    with torch.inference_mode():
        rows = [row for head in heads(options) for row in measured(head)]
    RESULTS.write_text(json.dumps({"tokens": options.tokens, "rows": rows}, indent=1) + "\n")
    DRAWING.write_text(chart(rows, AXES))
    title = f"sparse attention beside dense attention, {options.model}, {options.tokens:,} tokens"
    publish(title, COLUMNS, rows, options.log)


def heads(options: argparse.Namespace) -> Iterator[Head]:
    """Random tensors, then those of the model's layers."""
    model, generator = load(options.model), torch.Generator().manual_seed(0)
    shape = model.shape.layers[0]
    groups = shape.heads // shape.kv_heads
    random = [
        torch.randn(options.tokens, count, shape.head_dim, generator=generator)
        for count in (groups, 1, 1)
    ]
    keys, values = random[1].transpose(0, 1), random[2].transpose(0, 1)
    yield Head("random", random[0], keys, values, shape.scale, model)
    yield from real(model, options.tokens, options.layers)


def real(model: Model, tokens: int, layers: list[int]) -> Iterator[Head]:
    """The first KV head of some layers over prose."""
    ids = model.tokenizer.encode(passage(prose(), tokens * 8, seed=0))[:tokens]
    found: list[Head] = []

    def keep(view: Any) -> None:
        if view.layer in layers:
            groups = view.shape.heads // view.shape.kv_heads
            own = view.queries[:, :groups], view.keys[:1], view.values[:1]
            copies = [held.float().clone() for held in own]
            found.append(Head(f"layer {view.layer}", *copies, view.shape.scale, model))

    batch = Batch(model.network, Meter(lambda: 0.0))
    hook = LayerHook(keep, len(ids))
    batch.prefill_whole(SequenceCache(len(model.shape.layers)), ids, hook, max(layers) + 1)
    yield from found


def measured(head: Head) -> Iterator[dict[str, Any]]:
    """The rows of one head."""
    length = len(head.queries)
    dense = torch.cat([weights @ head.values[0].double() for _, weights in head.weights()])
    identity = torch.eye(length)[None]
    for family, spellings in METHODS.items():
        for spelling in spellings:
            method = catalogue.build(spelling)
            found = method.on_attention(head.view(head.values))
            if found is None:
                continue
            out = found.out.double().view_as(dense)
            chosen = replace(method, means=False) if hasattr(method, "means") else method
            shares = chosen.on_attention(head.view(identity)).out.view(length, -1, length)
            recalled = sum(
                float((weights * (shares[rows] > 0)).sum()) for rows, weights in head.weights()
            )
            yield {
                "tensors": head.name,
                "method": spelling,
                "family": family,
                "density": found.pairs / (length * (length + 1) / 2),
                "error": float((out - dense).norm() / dense.norm()),
                "recall": recalled / dense.shape[0] / dense.shape[1],
            }


if __name__ == "__main__":
    main()
