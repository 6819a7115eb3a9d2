"""Repeats failed attempts with growing waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from forethought.backends.openai.endpoint import Patience
from forethought.backends.openai.errors import TransientError
from forethought.contracts.errors import RemoteError

Result = TypeVar("Result")
Sleep = Callable[[float], Awaitable[object]]


def _nowhere() -> bool:
    return False


@dataclass
class Retries:
    """The waits between attempts, and their number."""

    patience: Patience = field(default_factory=Patience)
    rng: random.Random = field(default_factory=random.Random, repr=False)
    """Adds jitter to the waits."""
    sleep: Sleep = asyncio.sleep

    async def run(
        self,
        attempt: Callable[[], Awaitable[Result]],
        elsewhere: Callable[[], bool] = _nowhere,
    ) -> Result:
        """Repeat an attempt until it succeeds; RemoteError after the last one.

        While `elsewhere` holds after a failure, another server takes the next attempt: it starts
        at once, and the failure does not count.
        """
        most, number = self.patience.attempts, 0
        while True:
            number += 1
            try:
                return await attempt()
            except TransientError as error:
                if elsewhere():
                    number -= 1
                    continue
                number -= error.overloaded
                if number >= most or error.wait > self.patience.longest_asked:
                    times = f" ({number} attempts)" if number > 1 else ""
                    raise RemoteError(f"{error.message}{times}", error.hint) from None
                # A Retry-After delays every request to the server, in `Api._wait_for_turn`.
                await self.sleep(self._backoff(max(1, number)))

    def _backoff(self, number: int) -> float:
        wait: float = min(self.patience.longest_wait, self.patience.first_wait * 2 ** (number - 1))
        return wait * self.rng.uniform(0.5, 1.0)
