"""Models on servers that judge what another back end writes."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from forethought.backends.openai.api_keys import JUDGE_KEY, KEY_NAMES, key_of
from forethought.contracts.backend import (
    Backend,
    BackendEvent,
    CostBound,
    Request,
    RequestOutcome,
    VerdictRequest,
)
from forethought.contracts.errors import UsageError
from forethought.contracts.records import LimitKind
from forethought.contracts.search import Ability
from forethought.driver.job import Job
from forethought.engine.meter import Clock

if TYPE_CHECKING:
    from forethought.backends.openai.backend import OpenAIBackend
    from forethought.backends.openai.endpoint import Patience
    from forethought.cost.prices import Price

_POLL_SECONDS = 0.05
"""Seconds after which it is looked whether another back end has something."""


@dataclass
class Judges:
    """Servers that give verdicts, each found out about once and kept until closed."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    """By name of the model; under "" that of all others."""
    own: str = ""
    """The address of the server that writes, whose key is shown to no other; empty where none."""
    patience: Patience | None = None
    clock: Clock = time.monotonic
    _open: dict[str, OpenAIBackend] = field(default_factory=dict)
    """By address."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def with_judges(self, backend: Backend, jobs: Iterable[Job]) -> Backend:
        """The back end, its verdicts given by the judges that the jobs' scorers name, if any.

        UsageError for a budget that a judge cannot hold, and RemoteError for one that cannot be
        reached, before anything is asked.
        """
        judged = [(job.scorer.by, job) for job in jobs if job.scorer and job.scorer.by]
        for address, job in judged:
            judge = self._judge(address)
            judge.check_limits(job.limit.kinds)
            _ = judge.capabilities  # probes the server
        return (
            JudgedBackend(backend, {by: self._judge(by) for by, _ in judged}) if judged else backend
        )

    def close(self) -> None:
        """End all connections."""
        for judge in self._open.values():
            judge.close()
        self._open.clear()

    def _judge(self, address: str) -> OpenAIBackend:
        # Here, since what speaks to servers is slow to import, and few need it.
        from forethought.backends.openai.backend import OpenAIBackend
        from forethought.backends.openai.endpoint import Endpoint, Patience

        if address not in self._open:
            place = Endpoint.parse(address)
            if not place.model:
                raise UsageError(
                    f"the judge {address!r} names no model, so that it could be another tomorrow",
                    f"write it {place.base}#model",
                )
            self._open[address] = OpenAIBackend(
                place,
                prices=self.prices,
                patience=self.patience or Patience(),
                key=self._key(place.base),
                clock=self.clock,
            )
        return self._open[address]

    def _key(self, base: str) -> str:
        names = (JUDGE_KEY, *KEY_NAMES) if self.own in ("", base) else (JUDGE_KEY,)
        return key_of(os.environ, names)


@dataclass
class JudgedBackend:
    """A back end, and judges by their addresses for the verdicts that are asked of them."""

    backend: Backend
    judges: Mapping[str, Backend]
    _own: set[str] = field(default_factory=set)
    """Keys of what is on its way from the back end."""
    _judging: dict[str, Backend] = field(default_factory=dict)
    """By key: the judge it is on its way from."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the back end can do."""
        return self.backend.abilities

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """Raise UsageError for what the back end or a judge cannot hold."""
        for target in (self.backend, *self.judges.values()):
            target.check_limits(kinds)

    def submit(self, request: Request | VerdictRequest) -> None:
        """Begin a request where it belongs."""
        target = self._backend_of(request)
        target.submit(request)
        if target is self.backend:
            self._own.add(request.key)
        else:
            self._judging[request.key] = target

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """The most that each can take, as those say that will be asked."""
        own = [one for one in requests if self._backend_of(one) is self.backend]
        found = iter(self.backend.bounds(own))
        return [
            next(found)
            if self._backend_of(one) is self.backend
            else self._backend_of(one).bounds([one])[0]
            for one in requests
        ]

    def poll(self, until: float | None = None) -> Sequence[BackendEvent]:
        """Wait for outcomes of whichever has one first."""
        while True:
            found = self._from_judges(wait=not self._own) or self._from_backend(until)
            late = until is not None and self.backend.now() >= until
            if found or late or not (self._own or self._judging):
                return found

    def now(self) -> float:
        """What the back end's clock shows."""
        return self.backend.now()

    def cancel(self, key: str) -> None:
        """End a request, where that makes sense."""
        self._judging.get(key, self.backend).cancel(key)

    def release(self, run: str) -> None:
        """Forget what was kept for a run."""
        for target in (self.backend, *self.judges.values()):
            target.release(run)

    def _backend_of(self, request: Request | VerdictRequest) -> Backend:
        by = request.by if isinstance(request, VerdictRequest) else ""
        return self.judges[by] if by else self.backend

    def _from_judges(self, *, wait: bool) -> Sequence[BackendEvent]:
        found: list[BackendEvent] = []
        for judge in {id(one): one for one in self._judging.values()}.values():
            found += judge.poll(judge.now() + (_POLL_SECONDS if wait and not found else 0.0))
        for one in found:
            self._judging.pop(one.key, None)
        return found

    def _from_backend(self, until: float | None) -> Sequence[BackendEvent]:
        if not self._own:
            return []
        soon = self.backend.now() + _POLL_SECONDS if self._judging else None
        ends = [end for end in (until, soon) if end is not None]
        found = self.backend.poll(min(ends, default=None))
        self._own -= {one.key for one in found if isinstance(one, RequestOutcome)}
        return found
