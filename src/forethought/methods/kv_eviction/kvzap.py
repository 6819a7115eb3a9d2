"""Drop cache entries whose predicted score is below a threshold, once they leave a window.

Paper: KVzap, arXiv:2601.07891, with the threshold and the window of DMS (arXiv:2506.05345). A
linear map or a small network predicts the logarithm of kvzip-plus scores from a layer's inputs.
Published: code (kvpress); KVzapPress under DMSPress. Paper: entries of the answer are evicted too
    (every=1). Here, as in kvpress: prefill is dense, and the answer's entries stay (every=0).
Exact: at a threshold below every score, such as threshold=-1e9. The number of entries that remain
depends on the text, and differs by head.
Cost: one small product for every token and layer.
Example: forethought "Who signed it?" -f contract.txt -x 'kvzap(predictor=FILE)'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from forethought.contracts.parameters import Count, CountOrZero, Range
from forethought.contracts.records import Prompt
from forethought.contracts.roles import Approximation, Draft, Entries, LayerView
from forethought.contracts.score_work import LayerSizes, PromptSizes, ScoreWork
from forethought.methods.kv_eviction._entries import after_newest, entry_places
from forethought.methods.kv_eviction.importance.predicted import Predicted
from forethought.numerics.late_imports import torch


@dataclass(frozen=True)
class KVzap(Approximation):
    """Predicted scores against a threshold, behind a sliding window."""

    predictor: str = ""
    """Weights of the predictor: a safetensors file, or its folder.

    benchmarks/fit_eviction.py makes one for a model.
    """
    threshold: Annotated[float, Range(-1e9, 1e9)] = -4.0
    """Entries with a lower score are dropped."""
    window: Count = 128
    """Newest entries, which always stay."""
    every: CountOrZero = 0
    """Decoded tokens between two evictions. 0 evicts once, after prefill."""
    protect: bool = True
    """Always keep the chat template and the question."""

    def pays(self, prompt_length: int) -> bool:
        """Whether an entry can leave the window."""
        return self.every > 0 or prompt_length > self.window

    def uncounted(self) -> str:
        """The entries of a sufficient score."""
        return "the entries above the threshold depend on the text: all are counted as kept"

    def score_work(self, prompt: PromptSizes) -> ScoreWork:
        """The predicted scores of every entry."""
        return self._importance.score_work(prompt)

    def rescore_flops(self, layer: LayerSizes) -> float:
        """FLOPs of the predicted scores of the newest entries."""
        return self._importance.layer_flops(layer)

    def evicts(self) -> bool:
        """Whether cache entries are dropped."""
        return True

    def needs_all_queries(self) -> bool:
        """Whether the inputs of all prompt tokens are read."""
        return True

    def reads_inputs(self) -> bool:
        """Whether the inputs of decoded tokens are read."""
        return True

    def evicts_every(self) -> int:
        """Decoded tokens between two evictions; 0 for none."""
        return self.every

    def on_prompt(self, prompt: Prompt, draft: Draft, answer_tokens: int) -> Prompt:
        """The prompt; raises if the predictor cannot be read."""
        if self.pays(len(prompt)):
            self._importance.check(prompt)
        return prompt

    def on_layer(self, view: LayerView) -> Entries | None:
        """The newest entries, the protected ones, and those of a sufficient score."""
        places = entry_places(view)
        scores = self._importance.score_layer(view, places)
        stays = places >= after_newest(places) - self.window
        if self.protect:
            wanted = torch.tensor(sorted(view.protected), dtype=torch.long, device=places.device)
            stays |= torch.isin(places, wanted)
        held = places >= 0
        kept = held & (stays | (scores >= self.threshold))
        return None if torch.equal(kept, held) else [head.nonzero().flatten() for head in kept]

    @property
    def _importance(self) -> Predicted:
        return Predicted(self.predictor)
