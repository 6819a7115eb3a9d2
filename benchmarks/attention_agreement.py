"""Agreement of a draft's attention with the target's: does the draft know the important tokens?

    python benchmarks/attention_agreement.py qwen-coder-1.5b \\
        --drafts self qwen-coder-0.5b smollm2 --tokens 2000 --prompts 4

A prompt asks for a number that is hidden in prose. The target's importance of a prompt token is
its attention, in one layer, by the queries that decode the target's own answer. A draft's
importance is that of `specpc`: the window of the last prompt tokens, and the queries of drafted
tokens. `queries` counts the latter; `specpc(lookahead=n)` has n - 1 of them, since its last drafted
token is not prefilled. The draft `self` is the first layers of the target, those of
`specpc-shallow`; with drafted queries it costs as much as an exact prefill.

Correlations are Spearman's, over the prompt tokens that a selection may drop, averaged over
prompts: of each target layer with the draft layer at the same relative depth, and with the draft
layer that agrees best on average. `fused` compares the scores of the whole methods. `overlap` is
the part of the tokens chosen by the target's attention that the draft's attention chooses too;
`chance` is that of a random choice. The rows go to a JSON file, and a drawing shows them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Prompt
from forethought.engine.meter import Meter
from forethought.models.chat.prompt import chat_prompt
from forethought.models.load import load
from forethought.models.model import Model
from forethought.prefill.draft_model import ModelDraft
from layer_attention import (
    Agreement,
    PromptAttention,
    agreement,
    at_same_depth,
    read_draft,
    read_target,
)
from line_panels import Axes, chart
from prose import hidden, needle, passage, prose
from report import publish

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "attention-agreement.json"
DRAWING = ROOT / "docs" / "attention-agreement.svg"
AXES = Axes(
    across="depth",
    across_name="depth of the target's layer",
    measures={"same depth": "draft layer at the same depth", "best": "best draft layer"},
    label="Rank correlation of prompt-token importance between draft and target by layer",
)


@dataclass(frozen=True)
class DraftResult:
    """The agreement of a draft after some drafted queries, over all prompts."""

    draft: str
    queries: int
    prompts: Sequence[Agreement]

    def layers(self) -> Iterator[dict[str, Any]]:
        """A row for each target layer."""
        mean = np.mean([one.by_layer for one in self.prompts], 0)
        layers, others = mean.shape
        for layer, own in enumerate(mean):
            paired, best = at_same_depth(layer, layers, others), int(own.argmax())
            yield {
                "draft": self.draft,
                "queries": self.queries,
                "layer": layer,
                "depth": layer / max(1, layers - 1),
                "same depth": float(own[paired]),
                "paired layer": paired,
                "best": float(own[best]),
                "best layer": best,
            }

    def summary(self, shares: Sequence[float]) -> dict[str, Any]:
        """The means over layers and prompts."""
        layers = list(self.layers())
        row: dict[str, Any] = {
            "draft": self.draft,
            "queries": self.queries,
            "decoded": statistics.mean(one.queries for one in self.prompts),
            "same depth": statistics.mean(one["same depth"] for one in layers),
            "best": statistics.mean(one["best"] for one in layers),
            "fused": statistics.mean(one.fused for one in self.prompts),
        }
        for share in shares:
            row[f"overlap {share:.0%}"] = _mean([one.overlaps[share] for one in self.prompts])
            row[f"chance {share:.0%}"] = _mean([one.chances[share] for one in self.prompts])
        return row


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def main() -> None:
    """Measure, write the rows and draw them."""
    options = _options()
    try:
        with torch.inference_mode():
            found = list(results(options))
    except ForethoughtError as error:
        raise SystemExit(f"{error}\n{error.hint}") from None
    summaries = [one.summary(options.shares) for one in found]
    layers = [row for one in found for row in one.layers()]
    setting = {name: getattr(options, name) for name in ("model", "tokens", "prompts")}
    document = {**setting, "summary": summaries, "layers": layers}
    options.results.write_text(json.dumps(document, indent=1) + "\n")
    named = [
        {**row, "tensors": row["draft"], "family": f"{row['queries']} drafted queries"}
        for row in layers
    ]
    options.drawing.write_text(chart(named, AXES))
    title = f"{options.model}, {options.prompts} prompts of {options.tokens:,} tokens"
    publish(f"agreement of attention, {title}", list(summaries[0]), summaries, options.log)
    columns = ["draft", "layer", *(f"{count} queries" for count in options.queries), "best layer"]
    publish(f"the same by layer, {title}", columns, list(_by_layer(layers)), options.log)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--drafts", nargs="+", default=["self", "qwen-coder-0.5b", "smollm2"])
    parser.add_argument("--queries", type=int, nargs="+", default=[0, 1, 8, 32])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.12, 0.25])
    parser.add_argument("--tokens", type=int, default=2000, help="length of the prose")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--text", help="a file to take the prose from")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--drawing", type=Path, default=DRAWING)
    parser.add_argument("--log", action="store_true", help="append the tables to docs/lab-log.md")
    options = parser.parse_args()
    if min(options.queries) < 0 or min(options.tokens, options.prompts) < 1:
        parser.error("--queries from 0, --tokens and --prompts from 1")
    if not all(0 < share < 1 for share in options.shares):
        parser.error("--shares between 0 and 1")
    return options


def results(options: argparse.Namespace) -> Iterator[DraftResult]:
    """Read each prompt once with the target and once with each other draft."""
    model, most = load(options.model), max(options.queries)
    target = ModelDraft(model, model, Meter(lambda: 0.0))
    prompts = [_prompt(options, model, seed) for seed in range(options.prompts)]
    reads = [read_target(target, prompt, most) for prompt in prompts]
    for name in options.drafts:
        draft = target if name == "self" else ModelDraft(load(name), model, Meter(lambda: 0.0))
        agreements = [_agreements(options, read, draft, most) for read in reads]
        for count, of_prompts in zip(options.queries, zip(*agreements, strict=True), strict=True):
            yield DraftResult(name, count, of_prompts)


def _agreements(
    options: argparse.Namespace, read: PromptAttention, draft: ModelDraft, most: int
) -> list[Agreement]:
    """The agreement on a prompt for each number of drafted queries."""
    rows = read.own if draft is read.target else read_draft(draft, read.prompt, most)
    return [agreement(read, draft, rows, count, options.shares) for count in options.queries]


def _prompt(options: argparse.Namespace, model: Model, seed: int) -> Prompt:
    """A question about a number hidden in prose, at a depth that differs by prompt."""
    sentence, question, _ = needle(seed)
    tokens = model.tokenizer.encode(passage(prose(options.text), options.tokens * 8, seed))
    text = model.tokenizer.decode(tokens[: options.tokens])
    document = hidden(text, sentence, (seed + 0.5) / options.prompts)
    return chat_prompt(model.tokenizer, model.template, question, document)


def _by_layer(layers: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A row for each draft and target layer, with same-depth correlations by drafted queries."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for one in layers:
        place = one["draft"], one["layer"]
        row = rows.setdefault(place, {"draft": one["draft"], "layer": one["layer"]})
        row[f"{one['queries']} queries"] = one["same depth"]
        row["best layer"] = one["best layer"]
    yield from rows.values()


if __name__ == "__main__":
    main()
