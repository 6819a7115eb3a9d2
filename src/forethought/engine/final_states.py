"""The final hidden states behind the logits of the latest forward pass."""

from __future__ import annotations

from torch import Tensor


class FinalStates:
    """Keeps the states that passes show, one pass at a time."""

    def __init__(self) -> None:
        self.rows: Tensor | None = None
        """[R, hidden] of the latest pass with logits; None if the network shows none."""

    def __call__(self, states: Tensor) -> None:
        """Receive the states of a pass."""
        self.rows = states

    @property
    def last(self) -> Tensor | None:
        """[hidden] behind the last row of logits."""
        return None if self.rows is None else self.rows[-1]
