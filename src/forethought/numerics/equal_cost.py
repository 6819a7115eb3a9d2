"""Samples for a budget, and what two ways to spend it reach for as much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forethought.contracts.errors import UsageError


@dataclass(frozen=True)
class UnitCost:
    """What k samples cost, in tokens, FLOPs or anything else: once + k * each."""

    once: float
    """However many samples are drawn; at least 0."""
    each: float
    """More than 0."""

    @classmethod
    def tokens(cls, prompt: float, output: float, *, shared: bool = True) -> UnitCost:
        """Tokens, where the prompt is read once, or again for each sample if not `shared`."""
        return cls(prompt, output) if shared else cls(0.0, prompt + output)

    def flops(self, parameters: float) -> UnitCost:
        """FLOPs of a model that costs two for each of its parameters and tokens."""
        return UnitCost(2 * parameters * self.once, 2 * parameters * self.each)

    def of(self, k: int) -> float:
        """What k samples cost."""
        return self.once + k * self.each

    def within(self, budget: float) -> int:
        """The most samples that a budget covers."""
        k = max(0, int((budget - self.once) // self.each))
        # The division may round to the other side of a whole number.
        return k + 1 if self.of(k + 1) <= budget else k - (k > 0 and self.of(k) > budget)


@dataclass(frozen=True)
class Arm:
    """One way to spend a budget: what k samples reach, and what they cost."""

    reached: Callable[[int], float]
    """Asked only for what some budget affords."""
    most: int
    """Samples there are."""
    price: UnitCost

    @classmethod
    def of(cls, reached: Sequence[float], price: UnitCost) -> Arm:
        """The arm that reaches so much with 1, 2, ... samples."""
        return cls(lambda k: reached[k - 1], len(reached), price)

    def at(self, budget: float) -> BudgetResult:
        """What a budget reaches; it spends no more than there are samples for."""
        k = min(self.most, self.price.within(budget))
        return BudgetResult(k, self.reached(k) if k else None, self.price.of(k) if k else 0.0)


@dataclass(frozen=True)
class BudgetResult:
    """What came of a budget."""

    samples: int
    reached: float | None
    """None where it did not cover a single sample."""
    cost: float
    """What the samples cost: less than the budget where more were not drawn, or not whole."""


def at_equal_cost(arms: Sequence[Arm], budgets: Sequence[float]) -> list[list[BudgetResult]]:
    """What each arm makes of each budget, arm by arm; prices and budgets are of one unit.

    Budgets that an arm has too few samples for are spent in part: look at `cost`.
    """
    return [[arm.at(budget) for budget in budgets] for arm in arms]


def exchange(times: float, inference_share: float) -> float:
    """How many times the inference of a model pays for one that is `times` as large.

    Both spend as many FLOPs in training and inference together, training 6 for each parameter
    and token, inference 2: times + 3 / share * (times - 1), where the share is tokens of
    inference over tokens of training (arXiv:2408.03314). UsageError for a share of 0 or less.
    """
    if inference_share <= 0:
        raise UsageError(
            f"inference of {inference_share} tokens for each of training cannot be exchanged",
            "give a share above 0",
        )
    return times + 3 / inference_share * (times - 1)
