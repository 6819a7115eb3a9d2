"""The record of an automatic choice: the options, the numbers behind them, and the reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from forethought.contracts.comparison import Interval


@dataclass(frozen=True)
class WeighedOption:
    """A setting that a choice weighed."""

    name: str
    """Methods joined by +, or a weight format; `exact` for no method."""
    allowed: bool
    """Whether its loss is known to be within the allowed one."""
    seconds: Interval | None = None
    """The predicted time of the request; None if the sizes of a model are unknown."""
    runs: int = 0
    """Measured runs of this setting on this machine."""
    difference: Interval | None = None
    """Score minus that of the exact run, on stored questions; None if it was never compared."""
    questions: int = 0
    tasks: tuple[str, ...] = ()
    """Tasks of these questions."""


@dataclass(frozen=True)
class AutoChoice:
    """The setting that was chosen for a request, and why."""

    setting: Literal["approximate", "weights"]
    chosen: str
    reason: str
    loss: float
    """The allowed loss of score, from 0 to 1."""
    basis: Literal["measured", "roofline", ""] = ""
    """Whether runs on this machine corrected the predicted times; empty if none were needed."""
    measured: int = 0
    """Runs of this machine behind the predictions."""
    options: tuple[WeighedOption, ...] = ()
    usual: bool = False
    """Whether it is the choice of every run of this model, which needs no note."""

    @property
    def note(self) -> str:
        """The reason in one line."""
        flag = "auto" if self.setting == "approximate" else "--weights auto"
        return f"{flag} chose {self.chosen} because {self.reason}"

    def document(self) -> dict[str, Any]:
        """The choice as plain JSON values."""
        return asdict(self)
