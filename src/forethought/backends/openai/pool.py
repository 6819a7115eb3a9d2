"""Several endpoints of one model as one: requests go to the least busy endpoint that is up.

A request that fails on one endpoint moves to another, with the text it has so far; it is charged
once. An endpoint that fails rests for a while and returns with one request at first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from forethought.backends.openai.api import Api
from forethought.backends.openai.capabilities import first_model
from forethought.backends.openai.connection import Connection
from forethought.backends.openai.errors import TransientError
from forethought.backends.openai.protocol import Capabilities
from forethought.backends.openai.retries import Retries
from forethought.contracts.errors import RemoteError, UsageError

Result = TypeVar("Result")
STAY = 8
"""A run leaves the endpoint that has its prompt once another has so many fewer open requests."""


@dataclass
class Member:
    """One endpoint of a pool."""

    api: Api
    capabilities: Capabilities | None = None
    """None until it is probed."""
    requests: int = 0
    """Open requests."""
    tokens: int = 0
    """Tokens that they may still decode."""
    failures: int = 0
    """Failures since the last success."""
    rests_until: float = 0.0
    """Clock time before which it gets requests only if all others rest too."""

    def ready(self, now: float) -> bool:
        """Whether it may get a request: after a failure one at a time, until one succeeds."""
        return self.rests_until <= now and not (self.failures and self.requests)

    @contextmanager
    def busy(self, tokens: int) -> Iterator[None]:
        """Count an open request."""
        self.requests, self.tokens = self.requests + 1, self.tokens + tokens
        try:
            yield
        finally:
            self.requests, self.tokens = self.requests - 1, self.tokens - tokens


@dataclass
class Pool:
    """The endpoints of one model, bound to one event loop."""

    members: Sequence[Member]
    retries: Retries
    probe: Callable[[Api], Coroutine[Any, Any, Capabilities]]
    clock: Callable[[], float] = time.monotonic
    common: Connection | None = None
    """What all endpoints can do; set before the first request."""
    _homes: dict[str, set[int]] = field(default_factory=dict)
    """By run: the numbers of the members that have its prompt."""

    @property
    def connection(self) -> Connection:
        """The common connection."""
        assert self.common is not None, "probed before the first request"
        return self.common

    async def open(self) -> Capabilities:
        """Probe the endpoints; returns the capabilities that all of them have.

        Endpoints that cannot be reached rest, and are probed again later. Raises RemoteError if
        none can be reached, and UsageError if their models differ.
        """
        probes = (self._probe(one) for one in self.members)
        failed = [one for one in await asyncio.gather(*probes, return_exceptions=True) if one]
        for error in failed:
            if len(failed) == len(self.members) or not isinstance(error, RemoteError):
                raise error
        return _shared([one for one in self.members if one.capabilities is not None])

    async def first_model(self) -> str:
        """The first model that an endpoint lists; RemoteError if none can be reached."""
        *others, last = self.members
        for member in others:
            with suppress(RemoteError):
                return await first_model(member.api)
        return await first_model(last.api)

    async def with_retries(
        self, attempt: Callable[[Connection], Awaitable[Result]], run: str, tokens: int
    ) -> Result:
        """Repeat an attempt until an endpoint serves it; RemoteError after the last failure.

        `tokens` are the most that it decodes.
        """

        async def on_a_member() -> Result:
            number = self._pick(run)
            member = self.members[number]
            with member.busy(tokens):
                try:
                    found = await attempt(await self._connected(member))
                except TransientError as error:
                    self._rest(member, error)
                    raise
            member.failures = 0
            self._homes.setdefault(run, set()).add(number)
            return found

        try:
            return await self.retries.run(on_a_member, self._has_ready)
        except RemoteError as error:
            failure = self.connection.api.scrub.error(error)
        # Raised outside the handler: the error's context would keep the unscrubbed reply.
        raise failure

    def forget(self, run: str) -> None:
        """Drop a run's data."""
        self._homes.pop(run, None)

    async def close(self) -> None:
        """End all connections."""
        for member in self.members:
            await member.api.close()

    def _pick(self, run: str) -> int:
        """The member for a run's next request."""
        now, homes = self.clock(), self._homes.get(run, set())
        ready = [number for number, one in enumerate(self.members) if one.ready(now)]

        def load(number: int) -> tuple[int, int]:
            member = self.members[number]
            return member.requests - STAY * (number in homes), member.tokens

        if ready:
            return min(ready, key=load)
        return min(range(len(self.members)), key=lambda one: self.members[one].rests_until)

    def _has_ready(self) -> bool:
        now = self.clock()
        return len(self.members) > 1 and any(one.ready(now) for one in self.members)

    def _rest(self, member: Member, error: TransientError) -> None:
        """Let a member rest, unless it has only too many requests at once."""
        if error.overloaded:
            return
        member.failures += 1
        patience = self.retries.patience
        wait = min(patience.longest_wait, 2 * patience.first_wait * 2 ** (member.failures - 1))
        member.rests_until = max(member.rests_until, self.clock() + max(wait, error.wait))

    async def _connected(self, member: Member) -> Connection:
        """The connection to a member, with the capabilities that all have."""
        common = self.connection
        if member.capabilities is None and len(self.members) > 1:
            await self._join(member)
        own = member.capabilities or common.capabilities
        shared = common.capabilities
        used = replace(own, logprobs=shared.logprobs, top=shared.top, continues=shared.continues)
        return replace(common, api=member.api, capabilities=used)

    async def _join(self, member: Member) -> None:
        """Probe a member that could not be reached before; it rests for good if it differs."""
        if error := await self._probe(member):
            raise TransientError(error.message, error.hint) from None
        assert member.capabilities is not None, "probed"
        problem = _difference(self.connection.capabilities, member.capabilities)
        if problem:
            member.capabilities, member.rests_until = None, float("inf")
            raise TransientError(f"{member.api.endpoint.base} {problem}", "see its log")

    async def _probe(self, member: Member) -> RemoteError | None:
        """Probe a member whose capabilities are unknown; the error if it cannot be reached."""
        if member.capabilities is None:
            try:
                member.capabilities = await self.probe(member.api)
            except RemoteError as error:
                self._rest(member, TransientError(error.message))
                return error
        return None


def _shared(members: Iterable[Member]) -> Capabilities:
    """The capabilities that all of the members have."""
    (first, found), *others = [(one, one.capabilities) for one in members if one.capabilities]
    for other, theirs in others:
        if problem := _difference(found, replace(theirs, logprobs=True, top=1, continues=True)):
            raise UsageError(
                f"{other.api.endpoint.base} {problem} of {first.api.endpoint.base}",
                "name addresses of one model, on servers of one kind",
            )
    every = [found, *(theirs for _, theirs in others)]
    return replace(
        found,
        served=", ".join(dict.fromkeys(one.served for one in every if one.served)),
        logprobs=all(one.logprobs for one in every),
        top=min(one.top for one in every),
        continues=all(one.continues for one in every),
        overhead=max(one.overhead for one in every),
    )


def _difference(shared: Capabilities, own: Capabilities) -> str:
    """What an endpoint lacks to serve the requests of the others; empty if nothing."""
    if own.model != shared.model:
        return f"serves {own.model!r}, not {shared.model!r}"
    if (own.chat, own.ids) != (shared.chat, shared.ids):
        return "takes prompts of another form than that"
    missing = {
        "log-probabilities": shared.logprobs and not own.logprobs,
        "verdicts": shared.top and not own.top,
        "continued answers": shared.continues and not own.continues,
    }
    return next((f"lacks {name}" for name, lacks in missing.items() if lacks), "")
