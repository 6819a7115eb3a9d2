"""Keep the chunks of the prompt that a draft's look-ahead attends to, at their positions.

Paper: SpecPrefill, arXiv:2502.02789 (ICML 2025)
Published: code; Jingyu6/speculative_prefill. The look-ahead is greedy, as it is there for a greedy
    request. With protect, the newest chunk stays too, and the last chosen chunk is cut to the
    budget. A draft with another tokenizer follows arXiv:2603.02631: scores are mapped by character
    offset.
Exact: when keep reaches the prompt's length; below it, the answer cannot see dropped tokens.
Cost: the draft prefills the prompt and decodes the look-ahead; the target prefills keep tokens.
Example: forethought "Who signed it?" -f contract.txt -m qwen-coder-1.5b -d qwen-coder-0.5b
    -x spec-prefill
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import Count, CountOrZero, Share, entries_kept
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft
from forethought.methods.prompt_compression._query_scores import QueryScores
from forethought.methods.prompt_compression._room import PromptRoom
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.late_imports import np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SpecPrefill(Shortening):
    """Keeps whole chunks of tokens by their mean score."""

    revision: ClassVar[int] = 2
    """The first revision cut the last chosen chunk without protect, too."""

    lookahead: Count = 8
    """Tokens the draft decodes; the queries of all but the last score."""
    kernel: Count = 13
    """Width of the mean pooling, in tokens."""
    chunk: Count = 32
    """Tokens kept or dropped together."""
    in_place: bool = True
    """Keep the original positions, with gaps; the answer starts at its usual position."""
    window: CountOrZero = 1
    """Last prompt tokens whose queries score too."""
    pool: Literal["rows", "scores"] = "rows"
    """Pool each attention row before the maximum over layers and heads, or the finished scores."""
    rotary: bool = True
    """Score by queries and keys with their rotary embedding; false removes it."""
    layers: Literal["all", "full", "last"] = "all"
    """Layers that score: all, those without a sliding window, or the last."""
    head: CountOrZero = 0
    """First chunks that always stay; they share the budget with tail if it is too small."""
    tail: CountOrZero = 0
    """Last chunks that always stay."""
    backbone: Share = 0.0
    """Share of all chunks that stay at even distances, within the budget."""

    def uses_draft(self) -> bool:
        """Whether a draft runs."""
        return True

    def lookahead_tokens(self, answer_tokens: int) -> int:
        """The look-ahead; the last drafted token gives no query."""
        return self.lookahead if self.lookahead > 1 else 0

    def scored_layers(self, draft: Draft) -> range:
        """All layers, or the last one; those without a window count as all."""
        return range(draft.layers - 1 if self.layers == "last" else 0, draft.layers)

    def newest_queries(self) -> int | None:
        """The window; drafted tokens follow it."""
        return max(1, self.window)

    def reads(self, prompt_length: int) -> int:
        """Most prompt tokens that the target prefills: whole chunks without protect."""
        if self.protect:
            return super().reads(prompt_length)
        return min(prompt_length, self._chunks_kept(prompt_length) * self.chunk)

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the chosen chunks."""
        if not self.pays(len(prompt)):
            return prompt
        if not self.window and self.lookahead == 1:
            raise BadParameterError(
                f"{self.name} has no query that scores: window=0, and lookahead=1 drafts no query",
                "use window=1, or a greater lookahead",
            )
        room = self.room(prompt)
        scores = draft.carry(self._scores(prompt, draft), prompt).cpu().numpy()
        kept = self._cut_to(room, scores) if self.protect else self._whole_chunks(scores)
        return prompt.keep_in_place(kept) if self.in_place else prompt.keep(kept)

    def _scores(self, prompt: Prompt, draft: Draft) -> Tensor:
        settings = (self.window, self.kernel, self.pool, self.rotary, self.layers)
        lookahead = self.lookahead_tokens(0)

        def find() -> Tensor:
            scores = QueryScores(*settings)
            draft.read(prompt, scores.look, lookahead=lookahead, queries=max(1, self.window))
            return scores.mean(draft.name)

        return draft.recall(("spec-prefill", *settings, lookahead), prompt, find)

    def _chunks_kept(self, length: int) -> int:
        """Chunks that stay without protect: the published share of them, rounded up."""
        whole = entries_kept(self.keep, length) / length
        share = self.keep if isinstance(self.keep, float) else whole
        return max(1, min(math.ceil(share * self._count(length)), self._count(length)))

    def _count(self, length: int) -> int:
        return -(-length // self.chunk)

    def _whole_chunks(self, scores: np.ndarray) -> list[int]:
        count = self._chunks_kept(len(scores))
        chosen = sorted(self._ranked(scores, count, self.tail)[:count])
        return [token for number in chosen for token in self._tokens(number, len(scores))]

    def _cut_to(self, room: PromptRoom, scores: np.ndarray) -> list[int]:
        """The protected tokens, the newest chunk from its end, and others up to the budget."""
        length = len(scores)
        ranked = self._ranked(scores, self._count(room.count), max(1, self.tail))
        newest = reversed(self._tokens(ranked[0], length))
        others = (token for number in ranked[1:] for token in self._tokens(number, length))
        tokens = dict.fromkeys([*newest, *others])
        return room.kept([i for i in tokens if i not in room.protected][: room.count])

    def _tokens(self, number: int, length: int) -> range:
        return range(number * self.chunk, min((number + 1) * self.chunk, length))

    def _ranked(self, scores: np.ndarray, count: int, tail: int) -> list[int]:
        """All chunks: those that always stay, newest first, then the rest by their mean score."""
        starts = np.arange(0, len(scores), self.chunk)
        sizes = np.diff([*starts, len(scores)])
        means = np.add.reduceat(scores, starts) / sizes
        best = np.argsort(-means, kind="stable").tolist()
        return list(dict.fromkeys([*self._forced(len(starts), count, tail), *best]))

    def _forced(self, total: int, count: int, tail: int) -> Iterable[int]:
        """The chunks that always stay if `count` of `total` do: the tail, the head, the rest."""
        head = self.head
        if head and head + tail >= count:
            head = head * (count - 1) // (head + tail)
            tail = count - 1 - head
        yield from range(total - 1, max(-1, total - 1 - tail), -1)
        yield from range(min(head, total))
        if self.backbone:
            points = np.linspace(0, total - 1, math.ceil(total * self.backbone))
            yield from points.round().astype(int).tolist()
