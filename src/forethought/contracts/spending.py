"""What a spending rule asks of its run and reports: quotes, charges and decisions."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from forethought.contracts.records import Cost

if TYPE_CHECKING:
    from forethought.contracts.candidates import Candidate

Action = Literal["sample", "switch", "stop", "abstain"]
"""A further answer of the same way or of another one, or the end with or without an answer."""


@dataclass(frozen=True)
class Charge:
    """Charge the run for the scorer's own model before that runs; the result is None.

    If the budget does not cover the cost, the search ends here and spends nothing.
    """

    cost: Cost


@dataclass(frozen=True)
class Quote:
    """Ask for the price of a child of each parent, and the run's cost so far; spends nothing."""

    parents: tuple[Candidate, ...]


class AnswerPrice(NamedTuple):
    """The price of an answer, from sizes: a fixed part and a part for each token."""

    once: Cost
    token: Cost
    fits: bool = True
    """Whether the prompt fits the model's context."""


class Quoted(NamedTuple):
    """The result of a Quote."""

    spent: Cost
    prices: tuple[AnswerPrice, ...]


@dataclass(frozen=True)
class Alternative:
    """An action that a decision weighed."""

    action: Action
    net: float
    """The expected value minus the price, what is already spent excluded."""
    right: float
    """The expected probability that the final answer is right."""
    price: float = 0.0
    """The expected price of all answers that the plan draws."""
    way: str = ""
    """The writer of the answer, for a sample or a switch."""
    answers: float = 0.0
    """The expected number of further answers."""


@dataclass(frozen=True)
class Decision:
    """An action with the belief behind it."""

    chosen: Alternative
    alternatives: tuple[Alternative, ...]
    """All actions that were weighed, the chosen one included; the best first."""
    belief: dict[str, Any]
    """Probabilities and intervals that the decision rests on, as plain JSON values."""
    value: float
    """The value of a right answer."""
    spent: float
    unit: str
    """The unit of values and prices: usd, flops or tokens."""
    after: int
    """Answers drawn before the decision."""

    def document(self) -> dict[str, Any]:
        """The decision as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Tell:
    """Report a decision as an event of the run; the result is None."""

    decision: Decision


@dataclass(frozen=True)
class Settlement:
    """The end of a spending rule: its decisions, and the reason if it gives no answer."""

    decisions: tuple[Decision, ...] = field(default=())
    abstained: str = ""
    right: float = 0.0
    """The probability that the best answer is right, not calibrated."""


def charge(cost: Cost) -> Generator[Any, Any, None]:
    """Charge a cost before it is spent."""
    yield Charge(cost)


def quote(parents: Sequence[Candidate]) -> Generator[Any, Any, Quoted]:
    """Ask for the price of a child of each parent, and the run's cost so far."""
    found: Quoted = yield Quote(tuple(parents))
    return found


def tell(decision: Decision) -> Generator[Any, Any, None]:
    """Report a decision."""
    yield Tell(decision)
