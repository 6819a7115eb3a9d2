"""Scores that a small network predicts from the inputs of attention (KVzap, arXiv:2601.07891)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from forethought.contracts.errors import BadParameterError
from forethought.contracts.records import Prompt
from forethought.contracts.roles import LayerView
from forethought.contracts.score_work import LayerSizes
from forethought.methods.kv_eviction.importance import LayerImportance
from forethought.numerics.late_imports import F, torch

if TYPE_CHECKING:
    from torch import Tensor

_HOW = "name a safetensors file of this model, such as benchmarks/fit_eviction.py writes"
_PARTS = ("0.weight", "0.bias", "2.weight", "2.bias")


@dataclass(frozen=True)
class Predicted(LayerImportance):
    """A linear map or a network of one hidden layer, for each layer of the model."""

    predictor: str = ""
    """A safetensors file, or the folder of `model.safetensors`."""
    needs_all_queries: ClassVar[bool] = True
    reads_inputs: ClassVar[bool] = True

    def layer_flops(self, layer: LayerSizes) -> float:
        """A linear map: only the file states whether there is a hidden layer."""
        return 2.0 * layer.new * layer.hidden * layer.shape.kv_heads

    def uncounted(self) -> str:
        """The hidden layer of a predictor that has one."""
        return "the predictor is counted as a linear map"

    def check(self, prompt: Prompt) -> None:
        """Raise BadParameterError for a file that cannot be read."""
        self._weights()

    def score_layer(self, view: LayerView, places: Tensor) -> Tensor:
        """Scores [K, E]: the remembered ones, and those of the entries since."""
        kv_heads, entries, _ = view.keys.shape
        before = 0 if view.memory is None else view.memory.shape[1]
        total = torch.zeros(kv_heads, entries, device=view.keys.device)
        if view.memory is not None:
            total[:, :before] = view.memory
        added = entries - before
        if added:
            ends = torch.full((kv_heads,), entries) if view.held is None else view.held
            where = ends.to(total.device)[:, None] - added + torch.arange(added).to(total.device)
            total.scatter_(1, where, self._scores(view, added).T)
        view.remember(total)
        return total

    def _scores(self, view: LayerView, count: int) -> Tensor:
        """[N, K]: the scores of the newest `count` tokens."""
        inputs, weights = view.inputs[-count:].float(), self._weights()
        name = f"layers.{view.layer}"
        deep = [weights.get(f"{name}.{part}") for part in _PARTS]
        shallow = [weights.get(f"{name}.{part}") for part in ("weight", "bias")]
        parts = [part for part in (shallow if deep[0] is None else deep) if part is not None]
        wanted = (view.keys.shape[0], inputs.shape[-1])
        if len(parts) not in (2, 4) or (parts[-2].shape[0], parts[0].shape[1]) != wanted:
            raise BadParameterError(
                f"{self.predictor} maps no {wanted[1]} inputs to {wanted[0]} scores in {name}",
                _HOW,
            )
        view.charge(2.0 * count * sum(part.numel() for part in parts[::2]))
        first, *rest = (part.to(inputs) for part in parts)
        found = F.linear(inputs, first, rest[0])
        return found if len(rest) == 1 else F.linear(F.gelu(found), rest[1], rest[2])

    def _weights(self) -> Mapping[str, Tensor]:
        from safetensors import SafetensorError  # imported late, as torch is

        path = Path(self.predictor)
        file = path / "model.safetensors" if path.is_dir() else path
        if not file.is_file():
            raise BadParameterError(f"there is no predictor of scores: {self.predictor!r}", _HOW)
        try:
            return _loaded(file, file.stat().st_mtime_ns)
        except (OSError, SafetensorError) as error:
            raise BadParameterError(
                f"the predictor of scores {self.predictor!r} cannot be read: {error}", _HOW
            ) from None


@lru_cache(2)
def _loaded(file: Path, changed: int) -> Mapping[str, Tensor]:
    """The tensors of a file that changed at this time."""
    from safetensors.torch import load_file

    return load_file(file)
