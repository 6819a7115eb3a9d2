"""Serves the asks of a spending rule: quotes of prices, and reports of decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from forethought.contracts.backend import Backend, Place
from forethought.contracts.records import Cost
from forethought.contracts.search import Quote, Tell, Write
from forethought.contracts.spending import AnswerPrice, Quoted
from forethought.driver.job import Decided, GrownCandidates, Job
from forethought.driver.requests import mark_first, pending_children, piece_request

SearchEvent = GrownCandidates | Decided
"""What a search reports before its end."""


@dataclass(frozen=True)
class PriceDesk:
    """The prices of one job at this moment."""

    job: Job
    backend: Backend
    prefixes: Collection[Place]
    """Prefixes that the run has paid."""
    report: Callable[[SearchEvent], None]

    def served(self, ask: Quote | Tell, spent: Cost) -> Quoted | None:
        """The result of an ask; `spent` is the run's cost so far."""
        match ask:
            case Quote():
                return Quoted(spent, self._prices(ask))
            case Tell():
                self.report(Decided(self.job.run, ask.decision))
                return None

    def _prices(self, ask: Quote) -> tuple[AnswerPrice, ...]:
        """The back end's bounds on a whole child of each parent; no child is numbered."""
        children = pending_children(Write(ask.parents), Counter(), self.job.max_tokens)
        requests = [mark_first([piece_request(self.job, one)], self.prefixes)[0]
                    for one in children]  # fmt: skip
        bounds = self.backend.bounds(requests)
        return tuple(AnswerPrice(one.once, one.token, one.fits) for one in bounds)
