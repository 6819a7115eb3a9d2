"""Attention that an entry receives while the model repeats its text (KVzip, arXiv:2505.23416)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forethought.contracts.records import Prompt
from forethought.contracts.roles import FullCacheView, LayerView
from forethought.contracts.score_work import LayerSizes, PromptSizes, ScorePass, ScoreWork
from forethought.cost.flops import attention_flops, projected_flops
from forethought.methods.kv_eviction.importance import Importance
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor

_WHOLE = "Repeat the previous context exactly."
_PART = "Repeat the part of the previous context exactly, starting with "
_NOT_SCORED = 2.0
_ROWS = 256  # queries whose attention is in memory together


@dataclass(frozen=True)
class Reconstruction(Importance):
    """The maximum attention to an entry while the model repeats the text, chunk by chunk.

    The text excludes the chat template and the question. Entries after it are not scored. With
    `normalised`, attention is divided by the norm of the layer's input at the query and multiplied
    by the norm of the projected value (KVzip+).
    """

    chunk: int = 2048
    overlap: int = 8
    sinks: int = 4
    normalised: bool = False

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """A pass for each chunk and the request to repeat it, and the attention of these tokens.

        Quoted tokens may split in two where they follow other text.
        """
        first, last = prompt.document
        whole, quoting = prompt.asked(_WHOLE), prompt.asked(_PART) + 2 * self.overlap
        parts = [
            range(start, min(start + self.chunk, last)) for start in range(first, last, self.chunk)
        ]
        passes, flops = [], 0.0
        for part in parts:
            asked = whole if part.start == first or not self.overlap else quoting
            passes.append(ScorePass(asked + len(part), last))
            for layer in prompt.layers():
                flops += self._products(layer, part, asked + len(part))
        return ScoreWork(flops, tuple(passes))

    def _products(self, layer: LayerSizes, part: range, repeating: int) -> float:
        """FLOPs of the attention of the repeated tokens to sinks, chunk and themselves."""
        seen = min(self.sinks, part.start) + len(part) + repeating
        flops = attention_flops(layer.shape, float(repeating * seen)) / 2
        return flops + projected_flops(layer, len(part)) * self.normalised

    def score_cache(self, cache: FullCacheView) -> list[Tensor]:
        """Scores [K, E] of every layer: 0 before the text, above any score after it."""
        scores = [
            torch.zeros(view.keys.shape[:2], dtype=torch.float32, device=view.keys.device)
            for view in cache.layers
        ]
        first, last = text_span(cache.prompt)
        for layer in scores if last else []:
            layer[:, last:] = _NOT_SCORED
        for start in range(first, last, self.chunk):
            part = range(start, min(start + self.chunk, last))
            self._repeat(cache, scores, part, (first, last))
        return scores

    def _repeat(
        self, cache: FullCacheView, scores: list[Tensor], part: range, text: tuple[int, int]
    ) -> None:
        """Let the model read a chunk again as its answer, and score the chunk's entries."""
        tokens = [*cache.asked(self._request(cache.prompt, part.start, text[0]))]
        tokens += cache.prompt.tokens[part.start : part.stop]

        def look(view: LayerView) -> None:
            own = scores[view.layer][:, part.start : part.stop]
            own.copy_(self._most_attention(view, part))

        cache.read(tokens, look, after=text[1])

    def _request(self, prompt: Prompt, start: int, first: int) -> str:
        if start == first or not self.overlap:
            return _WHOLE
        before = prompt.spans[max(first, start - self.overlap) : start]
        return _PART + prompt.text[before[0][0] : before[-1][1]]

    def _most_attention(self, view: LayerView, part: range) -> Tensor:
        """[K, chunk]: the maximum over queries that see sinks, chunk and the repeated tokens."""
        repeating = len(view.queries)
        entries = view.keys.shape[1]
        sinks = range(min(self.sinks, part.start))
        seen = torch.tensor(
            [*sinks, *part, *range(entries - repeating, entries)], device=view.keys.device
        )
        view.charge(2.0 * view.shape.heads * view.shape.head_dim * repeating * len(seen))
        own = slice(len(sinks), len(sinks) + len(part))
        most = [rows[..., own].amax(2) for rows in self._rows(view, seen)]
        found = torch.stack(most).amax(0)
        if self.normalised:
            found = found * view.projected_norms(2, seen[own])
        return found.amax(1)

    def _rows(self, view: LayerView, seen: Tensor) -> Iterator[Tensor]:
        """[K, G, rows, S]: attention over `seen`, per norm of the input if normalised."""
        if not self.normalised:
            yield from _rows_over(view, seen)
            return
        norms = torch.linalg.vector_norm(view.inputs.float(), dim=-1).split(_ROWS)
        for rows, own in zip(_rows_over(view, seen), norms, strict=True):
            yield rows / own[:, None]


def text_span(prompt: Prompt) -> tuple[int, int]:
    """The first unprotected token and the token after the last; (0, 0) if there is none."""
    free = [place for place in range(len(prompt)) if place not in prompt.protected]
    return (free[0], free[-1] + 1) if free else (0, 0)


def _rows_over(view: LayerView, seen: Tensor) -> Iterator[Tensor]:
    """[K, G, rows, S]: attention over the entries `seen` alone, in blocks of queries."""
    entries, total = view.keys.shape[1], len(view.queries)
    keys = view.keys[:, seen].float()
    for start in range(0, total, _ROWS):
        queries = view.queries[start : start + _ROWS].float()
        grouped = queries.view(len(queries), len(keys), -1, keys.shape[-1]).permute(1, 2, 0, 3)
        logits = torch.einsum("kgrd,ksd->kgrs", grouped, keys) * view.shape.scale
        if view.shape.softcap is not None:
            logits = torch.tanh(logits / view.shape.softcap) * view.shape.softcap
        own = torch.arange(len(queries), device=seen.device) + entries - total + start
        distance = own[:, None] - seen
        hidden = distance < 0
        if view.shape.window is not None:
            hidden |= distance >= view.shape.window
        yield torch.softmax(logits.masked_fill(hidden, -torch.inf), -1)
