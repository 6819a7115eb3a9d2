"""Keep the prompt tokens that an early layer of the target selects, then prefill those.

Paper: GemFilter, arXiv:2409.17422
Published: paper; the selecting layer is 13 of 32, scaled to the model's depth. Code: counts layers
    from 0, so its layer 13 is the one after.
Exact: when keep reaches the prompt's length; below it, the answer cannot see dropped tokens.
Cost: the target's first layers prefill the prompt; the whole target prefills keep tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import Count, OddCount
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Draft, LayerView
from forethought.methods.prompt_compression._shortening import Shortening
from forethought.numerics.importance import pooled
from forethought.numerics.late_imports import np

if TYPE_CHECKING:
    from torch import Tensor

_DEPTH = 13 / 32  # the published layer, of a model with 32 layers


@dataclass(frozen=True)
class GemFilter(Shortening):
    """Keeps the tokens whose keys have the largest products with the last token's queries."""

    layers: Count | None = None
    """First layers that run; the last of them selects. 13/32 of the layers by default."""
    kernel: OddCount = 5
    """Width of the mean pooling over scores, in tokens; 1 for none."""

    def uses_draft(self) -> bool:
        """Whether a draft runs."""
        return True

    def drafts_with_itself(self) -> bool:
        """Always: the selecting layer is the target's own."""
        return True

    def draft_layers(self, draft: Draft) -> int:
        """The layers up to the one that selects."""
        return self.layers or max(1, round(_DEPTH * draft.layers))

    def lookahead_tokens(self, answer_tokens: int) -> int:
        """None: the selecting layer needs the prompt alone."""
        return 0

    def newest_queries(self) -> int | None:
        """The last prompt token."""
        return 1

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt of the chosen tokens."""
        if not self.pays(len(prompt)):
            return prompt
        room = self.room(prompt)
        scores = pooled(draft.carry(self._products(prompt, draft), prompt), self.kernel, "mean")
        free = np.array(room.free)
        best = free[np.argsort(-scores.cpu().numpy()[free], kind="stable")[: room.count]]
        return prompt.keep(room.kept(best.tolist()))

    def _products(self, prompt: Prompt, draft: Draft) -> Tensor:
        layers = self.draft_layers(draft)
        if layers > draft.layers:
            raise BadParameterError(
                f"{self.name} runs the first {layers} layers, but {draft.name} has {draft.layers}",
                f"use layers={draft.layers} or fewer",
            )
        what = ("gem-filter", layers)
        return draft.recall(what, prompt, lambda: _products(prompt, draft, layers))


def _products(prompt: Prompt, draft: Draft, layers: int) -> Tensor:
    products = _Products(layers - 1)
    draft.read(prompt, products.look, layers=layers, queries=1)
    return products.found[0]


@dataclass
class _Products:
    """Inner products of the last query with every key of one layer, summed over heads."""

    layer: int
    found: list[Tensor] = field(default_factory=list)

    def look(self, view: LayerView) -> None:
        if view.layer == self.layer:
            kv_heads, _, width = view.keys.shape
            queries = view.queries[-1].float().view(kv_heads, -1, width).sum(1)
            self.found.append((view.keys.float() * queries[:, None]).sum((0, 2)))
