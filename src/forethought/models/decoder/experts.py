"""Mixture of experts: each token uses the experts that its router ranks highest."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


class Experts:
    """The experts of one layer, stacked."""

    def __init__(
        self,
        router: Tensor,
        gate_up: Tensor,
        down: Tensor,
        *,
        chosen: int,
        normalise: bool,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        """router [E, hidden], gate_up [E, 2 * width, hidden], down [E, hidden, width]."""
        self.router = router
        self.gate_up = gate_up
        self.down = down
        self.chosen = chosen
        self.normalise = normalise
        self.activation = activation

    def weight_bytes(self, tokens: int) -> int:
        """Bytes read for so many tokens: the router, and the mean number of distinct experts.

        The mean is that of tokens that draw their experts uniformly.
        """
        share = 1 - (1 - self.chosen / self.router.shape[0]) ** tokens
        return self.router.nbytes + int(share * (self.gate_up.nbytes + self.down.nbytes))

    def __call__(self, x: Tensor) -> Tensor:
        """[N, hidden] to [N, hidden]; expert outputs are summed in expert order."""
        shares = F.linear(x, self.router).softmax(-1, dtype=torch.float32)
        weights, experts = shares.topk(self.chosen, -1)  # [N, chosen]
        if self.normalise:
            weights = weights / weights.sum(-1, keepdim=True)
        order = experts.flatten().argsort(stable=True)
        rows = order // self.chosen
        factors = weights.to(x.dtype).flatten()[order, None]
        counts = experts.flatten().bincount(minlength=self.router.shape[0]).tolist()
        return self._sum(x, torch.split(rows, counts), torch.split(factors, counts))

    def _sum(self, x: Tensor, rows: tuple[Tensor, ...], factors: tuple[Tensor, ...]) -> Tensor:
        total = torch.zeros_like(x)
        for expert, (mine, factor) in enumerate(zip(rows, factors, strict=True)):
            if len(mine):
                gate, up = F.linear(x[mine], self.gate_up[expert]).chunk(2, -1)
                y = F.linear(self.activation(gate) * up, self.down[expert])
                total.index_add_(0, mine, y.mul_(factor))
        return total
