"""How many requests a server is sent at once: fewer, where it breaks some off for others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ConcurrencyLimit:
    """Places for requests, within one event loop."""

    most: int
    _taken: int = 0
    _owed: int = 0
    """Places that are to go once they are free."""
    _free: asyncio.Semaphore = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.most)

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None, None]:
        """Wait for a place and hold it."""
        await self._free.acquire()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            if self._owed:
                self._owed -= 1
            else:
                self._free.release()

    async def fewer(self, under: int) -> bool:
        """Whether a request that was broken off may blame others, of which there are fewer then.

        `under` is how many were allowed when it began: all that break off together count once.
        """
        if under == self.most and self._taken:
            kept = max(1, self.most // 2)
            self._owed += self.most - kept
            self.most = kept
            while self._owed and not self._free.locked():
                await self._free.acquire()
                self._owed -= 1
        return under > self.most
