"""Importance of prompt tokens by layer: of a draft, and of a target that decodes its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.stats import rankdata

from forethought.contracts.errors import BadParameterError
from forethought.contracts.records import Prompt
from forethought.contracts.roles import LayerView
from forethought.methods.prompt_compression._draft_attention import DraftAttention
from forethought.methods.prompt_compression.specpc import SpecPC
from forethought.methods.prompt_compression.specpc_shallow import SpecPCShallow
from forethought.numerics.importance import AttentionRows
from forethought.prefill.draft_model import ModelDraft


@dataclass
class LayerRows:
    """The attention rows of each layer, after every number of drafted queries."""

    window: int
    weighted: bool
    reduction: str
    by_queries: list[list[AttentionRows]] = field(default_factory=list)
    """First by the number of drafted queries, then by layer."""

    def look(self, view: LayerView) -> None:
        """Add a layer of the prefill or of a decode step."""
        drafted = view.keys.shape[1] - view.prompt_length
        if view.layer == 0:
            self.by_queries.append([])
        own = self._before(view.layer, drafted)
        own.look(view)
        self.by_queries[drafted].append(own)

    def _before(self, layer: int, drafted: int) -> AttentionRows:
        """A copy of the layer's rows before this step."""
        if not drafted:
            only = range(layer, layer + 1)
            return AttentionRows(self.window, only, self.weighted, self.reduction)
        last = self.by_queries[drafted - 1][layer]
        rows = {"window_rows": [*last.window_rows], "lookahead_rows": [*last.lookahead_rows]}
        return replace(last, **rows)

    def after(self, queries: int) -> list[AttentionRows]:
        """The rows of each layer after so many drafted queries, or all if the draft ended."""
        return self.by_queries[min(queries, self.queries)]

    @property
    def queries(self) -> int:
        """Drafted queries."""
        return len(self.by_queries) - 1


def joined(rows: Sequence[AttentionRows]) -> AttentionRows:
    """The rows of several layers in one reduction, as if one object had seen all of them."""
    return replace(
        rows[0],
        layers=range(rows[0].layers.start, rows[-1].layers.stop),
        window_rows=[row for one in rows for row in one.window_rows],
        lookahead_rows=[row for one in rows for row in one.lookahead_rows],
    )


@dataclass(frozen=True)
class PromptAttention:
    """A prompt, and the attention of the target's layers while it decodes its answer."""

    prompt: Prompt
    target: ModelDraft
    """The target as its own draft."""
    answer: list[AttentionRows]
    """By layer: queries of the last prompt token and of the answer."""
    own: LayerRows
    """The target's rows as a draft has them."""

    def free(self, window: int) -> list[int]:
        """Prompt tokens that a selection may drop."""
        before = range(len(self.prompt) - window)
        return [place for place in before if place not in self.prompt.protected]


def read_target(target: ModelDraft, prompt: Prompt, queries: int) -> PromptAttention:
    """Prefill the prompt with the target and decode its answer, once."""
    answer = LayerRows(1, False, SpecPC().reduction)
    own = specpc_rows()

    def look(view: LayerView) -> None:
        answer.look(view)
        own.look(view)

    target.read(prompt, look, lookahead=queries + 1)
    return PromptAttention(prompt, target, answer.after(queries), own)


def read_draft(draft: ModelDraft, prompt: Prompt, queries: int) -> LayerRows:
    """Prefill the prompt with a draft and decode its look-ahead.

    The last token of a look-ahead has no query.
    """
    rows = specpc_rows()
    draft.read(prompt, rows.look, lookahead=queries + 1)
    return rows


def specpc_rows() -> LayerRows:
    """No rows yet, with SpecPC's settings."""
    method = SpecPC()
    return LayerRows(method.window, method.weighted, method.reduction)


def method_of(draft: ModelDraft, share: float) -> DraftAttention:
    """The selection for a draft: of its first layers if the target drafts, else as published."""
    return SpecPCShallow(keep=share) if draft.is_self else SpecPC(keep=share)


@dataclass(frozen=True)
class Agreement:
    """The agreement of a draft with the target on one prompt."""

    queries: int
    """Drafted queries, fewer than asked for if the draft ended its answer."""
    by_layer: np.ndarray
    """[target layers, draft layers] rank correlations."""
    fused: float
    """The rank correlation of the fused scores: the method's draft layers, all target layers."""
    overlaps: dict[float, float | None]
    """By share of the prompt: the share of the target's choice that the draft chooses too."""
    chances: dict[float, float | None]
    """By share of the prompt: the expected overlap of a random choice as large."""


def agreement(
    read: PromptAttention,
    draft: ModelDraft,
    rows: LayerRows,
    queries: int,
    shares: Sequence[float],
) -> Agreement:
    """Compare the draft's rows after some queries with the target's answer."""
    used = _used_layers(draft, shares[0])
    layers = rows.after(queries)
    seen = layers[: used.stop] if draft.is_self else layers
    free = read.free(rows.window)
    fused, truth = joined(layers[used.start : used.stop]), joined(read.answer)
    ours, theirs = (
        scores(one, owner, read.prompt, free)
        for one, owner in ((seen, draft), (read.answer, read.target))
    )
    one = scores([fused], draft, read.prompt, free), scores([truth], read.target, read.prompt, free)
    chosen = {share: _chosen(read, draft, share, (fused, truth), set(free)) for share in shares}
    return Agreement(
        min(queries, rows.queries),
        rank_correlations(theirs, ours),
        float(rank_correlations(one[1], one[0])[0, 0]),
        {share: _part(len(kept & wanted), len(wanted)) for share, (kept, wanted) in chosen.items()},
        {share: _part(len(kept), len(free)) for share, (kept, _) in chosen.items()},
    )


def _used_layers(draft: ModelDraft, share: float) -> range:
    """The draft layers whose attention the method uses; BadParameterError if there are none."""
    used = method_of(draft, share).layers_of(draft)
    if not 0 <= used.start < min(used.stop, draft.layers):
        raise BadParameterError(
            f"{draft.name} has {draft.layers} layers, but its scores begin at layer {used.start}",
            "use a draft with more layers",
        )
    return range(used.start, min(used.stop, draft.layers))


def scores(
    rows: Sequence[AttentionRows], owner: ModelDraft, prompt: Prompt, free: list[int]
) -> np.ndarray:
    """[rows, free] scores in the target's tokens."""
    carried = [owner.carry(one.scores.float().cpu(), prompt).numpy() for one in rows]
    return np.stack(carried)[:, free]


def _chosen(
    read: PromptAttention,
    draft: ModelDraft,
    share: float,
    rows: tuple[AttentionRows, AttentionRows],
    free: set[int],
) -> tuple[set[int], set[int]]:
    """The free tokens that the draft's rows choose, and those that the target's choose."""
    method = method_of(draft, share)
    choice = method.choice(read.prompt, method.layers_of(draft))
    choice.check(read.prompt, method.name)
    owners = draft, read.target
    kept, wanted = (
        set(choice.chosen(read.prompt, owner, one).origins) & free
        for owner, one in zip(owners, rows, strict=True)
    )
    return kept, wanted


def _part(count: int, of: int) -> float | None:
    return count / of if of else None


def rank_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[A, B] Spearman's correlation of rows [A, n] with rows [B, n]; 0 for constant rows."""
    one, two = (_standardised(rankdata(rows, axis=1)) for rows in (first, second))
    return np.asarray(one @ two.T)


def _standardised(rows: np.ndarray) -> np.ndarray:
    centred = rows - rows.mean(1, keepdims=True)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def at_same_depth(layer: int, layers: int, others: int) -> int:
    """The layer of another model, of `others`, at the relative depth of `layer` of `layers`."""
    return round(layer * (others - 1) / max(1, layers - 1))
