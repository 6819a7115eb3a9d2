"""Scores of several recipes at equal cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forethought.contracts.errors import UsageError


@dataclass(frozen=True)
class UnitCost:
    """The cost of k samples, in tokens, FLOPs or any unit: once + k * each."""

    once: float
    """Fixed cost, such as the prefill; at least 0."""
    each: float
    """Cost per sample; above 0."""

    @classmethod
    def tokens(cls, prompt: float, output: float, *, shared: bool = True) -> UnitCost:
        """The cost in tokens; without `shared`, each sample has its own prefill."""
        return cls(prompt, output) if shared else cls(0.0, prompt + output)

    def flops(self, parameters: float) -> UnitCost:
        """The cost in FLOPs, at two per parameter and token."""
        return UnitCost(2 * parameters * self.once, 2 * parameters * self.each)

    def of(self, k: int) -> float:
        """The cost of k samples."""
        return self.once + k * self.each

    def within(self, budget: float) -> int:
        """The number of samples that a budget covers."""
        k = max(0, int((budget - self.once) // self.each))
        # The division may round across a whole number.
        return k + 1 if self.of(k + 1) <= budget else k - (k > 0 and self.of(k) > budget)


@dataclass(frozen=True)
class Arm:
    """One recipe: its score with k samples, and their cost."""

    reached: Callable[[int], float]
    """Score with k samples; called only for k that a budget covers."""
    most: int
    """Number of samples available."""
    price: UnitCost

    @classmethod
    def of(cls, reached: Sequence[float], price: UnitCost) -> Arm:
        """The arm with these scores at 1, 2, ... samples."""
        return cls(lambda k: reached[k - 1], len(reached), price)

    def at(self, budget: float) -> BudgetResult:
        """The result of a budget, which buys at most the available samples."""
        k = min(self.most, self.price.within(budget))
        return BudgetResult(k, self.reached(k) if k else None, self.price.of(k) if k else 0.0)


@dataclass(frozen=True)
class BudgetResult:
    """The score that a budget reaches."""

    samples: int
    reached: float | None
    """None if the budget does not cover one sample."""
    cost: float
    """Cost of the samples; below the budget if no further whole sample fits or exists."""


def at_equal_cost(arms: Sequence[Arm], budgets: Sequence[float]) -> list[list[BudgetResult]]:
    """The result of each budget, arm by arm; costs and budgets share one unit.

    An arm with too few samples spends part of a budget, see `BudgetResult.cost`.
    """
    return [[arm.at(budget) for budget in budgets] for arm in arms]


def exchange(times: float, inference_share: float) -> float:
    """The factor by which a model's inference may grow for the FLOPs of a `times` larger model.

    Both spend equal FLOPs on training (6 per parameter and token) and inference (2):
    times + 3 / share * (times - 1), where the share is inference tokens over training tokens
    (arXiv:2408.03314). UsageError for a share of 0 or less.
    """
    if inference_share <= 0:
        raise UsageError(
            f"an inference share of {inference_share} is not above 0",
            "give inference tokens per training token, above 0",
        )
    return times + 3 / inference_share * (times - 1)
