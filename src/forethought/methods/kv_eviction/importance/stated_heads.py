"""Scores of whole heads that a text file states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forethought.contracts.errors import BadParameterError
from forethought.contracts.records import Prompt
from forethought.contracts.roles import FullCacheView
from forethought.methods.kv_eviction._entries import for_heads
from forethought.methods.kv_eviction.importance import Importance
from forethought.numerics.late_imports import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class StatedHeads(Importance):
    """The numbers of a text file: a line for each layer, a number for each KV head."""

    heads: str = ""

    def check(self, prompt: Prompt) -> None:
        """Raise BadParameterError for a file without such numbers."""
        self._table()

    def score_cache(self, cache: FullCacheView) -> list[Tensor]:
        """The number of its head for every entry."""
        table = self._table()
        held = [len(view.keys) for view in cache.layers]
        if [len(row) for row in table] != held:
            raise BadParameterError(
                f"{self.heads} has {len(table)} lines of {len(table[0])} numbers, for a model of "
                f"{len(held)} layers and {held[0]} KV heads",
                "use the file of this model",
            )
        rows = zip(cache.layers, table, strict=True)
        return [for_heads(view, torch.tensor(row, dtype=torch.float32)) for view, row in rows]

    def _table(self) -> list[list[float]]:
        if not self.heads:
            raise BadParameterError(
                "no file of head scores is named",
                "name one with heads=FILE, such as benchmarks/fit_eviction.py writes, or use "
                "evict(importance=far-heads,allocation=whole-heads)",
            )
        try:
            lines = Path(self.heads).read_text("utf-8").splitlines()
            table = [[float(word) for word in line.split()] for line in lines if line.strip()]
        except (OSError, ValueError) as error:
            raise BadParameterError(
                f"scores of heads cannot be read from {self.heads}: {error}",
                "a line for each layer holds a number for each KV head",
            ) from None
        if not table:
            raise BadParameterError(f"{self.heads} is empty", "a line for each layer is needed")
        return table
