"""Models on servers that judge the candidates of another back end."""

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
"""Seconds between two polls of a back end while another one has requests too."""


@dataclass
class Judges:
    """Servers that give verdicts; each is probed once and stays open until closed."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    """By model name; under "" the price of all other models."""
    own: tuple[str, ...] = ()
    """Addresses of the answering servers; their API key goes to no other server. May be empty."""
    patience: Patience | None = None
    clock: Clock = time.monotonic
    _open: dict[str, OpenAIBackend] = field(default_factory=dict)
    """By address."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def with_judges(self, backend: Backend, jobs: Iterable[Job]) -> Backend:
        """The back end with the judges that the jobs' scorers name, if any.

        Raises UsageError for a limit that a judge cannot enforce, and RemoteError for a judge that
        cannot be reached, before any request.
        """
        judged = [(one.by, job) for job in jobs for one in job.scorers if one.by]
        for address, job in judged:
            judge = self._judge(address)
            judge.check_limits(job.limit.kinds)
            _ = judge.capabilities  # probes the server
        return (
            JudgedBackend(backend, {by: self._judge(by) for by, _ in judged}) if judged else backend
        )

    def close(self) -> None:
        """Close all connections."""
        for judge in self._open.values():
            judge.close()
        self._open.clear()

    def _judge(self, address: str) -> OpenAIBackend:
        # Imported here: the client is slow to import, and few runs need it.
        from forethought.backends.openai.backend import OpenAIBackend
        from forethought.backends.openai.endpoint import Endpoint, Patience

        if address not in self._open:
            place = Endpoint.parse(address)
            if not place.model:
                raise UsageError(
                    f"the judge {address!r} names no model, so the server could change it",
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
        names = (JUDGE_KEY, *KEY_NAMES) if not self.own or base in self.own else (JUDGE_KEY,)
        return key_of(os.environ, names)


@dataclass
class JudgedBackend:
    """A back end whose verdicts come from judges, by server address."""

    backend: Backend
    judges: Mapping[str, Backend]
    _own: set[str] = field(default_factory=set)
    """Keys of the back end's open requests."""
    _judging: dict[str, Backend] = field(default_factory=dict)
    """The judge of each other open request, by key."""

    @property
    def abilities(self) -> frozenset[Ability]:
        """The abilities of the back end."""
        return self.backend.abilities

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """Raise UsageError for a limit that the back end or a judge cannot enforce."""
        for target in (self.backend, *self.judges.values()):
            target.check_limits(kinds)

    def submit(self, request: Request | VerdictRequest) -> None:
        """Start a request at the judge or back end that it names."""
        target = self._backend_of(request)
        target.submit(request)
        if target is self.backend:
            self._own.add(request.key)
        else:
            self._judging[request.key] = target

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """An upper bound for each request, from the back end that will serve it."""
        own = [one for one in requests if self._backend_of(one) is self.backend]
        found = iter(self.backend.bounds(own))
        return [
            next(found)
            if self._backend_of(one) is self.backend
            else self._backend_of(one).bounds([one])[0]
            for one in requests
        ]

    def poll(self, until: float | None = None) -> Sequence[BackendEvent]:
        """Wait for outcomes of the back end and the judges."""
        while True:
            found = self._from_judges(wait=not self._own) or self._from_backend(until)
            late = until is not None and self.backend.now() >= until
            if found or late or not (self._own or self._judging):
                return found

    def now(self) -> float:
        """The back end's clock."""
        return self.backend.now()

    def cancel(self, key: str) -> None:
        """Stop a request."""
        self._judging.get(key, self.backend).cancel(key)

    def release(self, run: str) -> None:
        """Free the cache entries of a run."""
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
