"""The concurrency limit of one server; it falls when the server drops requests under load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ConcurrencyLimit:
    """A semaphore whose limit can be lowered, within one event loop."""

    allowed: int
    _in_flight: int = 0
    _to_withdraw: int = 0
    """Slots to remove once they are free."""
    _slots: asyncio.Semaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.allowed)

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None, None]:
        """Wait for a slot and hold it."""
        await self._slots.acquire()
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1
            if self._to_withdraw:
                self._to_withdraw -= 1
            else:
                self._slots.release()

    async def lower(self, at_start: int) -> bool:
        """Halve the limit after a dropped request; True if load may explain the drop.

        `at_start` is the limit when the request began: requests that drop together halve it once.
        """
        if at_start == self.allowed and self._in_flight:
            kept = max(1, self.allowed // 2)
            self._to_withdraw += self.allowed - kept
            self.allowed = kept
            while self._to_withdraw and not self._slots.locked():
                await self._slots.acquire()
                self._to_withdraw -= 1
        return at_start > self.allowed
