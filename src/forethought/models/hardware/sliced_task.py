"""Suspends work at its pauses, so that a long forward pass does not block other sequences.

A pause lies between two token blocks of a layer, deep inside a forward pass. A greenlet keeps the
call stack there, so methods, drafts and networks stay plain functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

from greenlet import getcurrent, greenlet

Clock = Callable[[], float]
T = TypeVar("T")
_SMALL = 4096
"""Tokens of work that takes less than a decode pass."""
_LONGEST_WAIT = 0.1
"""Seconds that a slice waits for another thread, at most."""


class SlicedTask:
    """A call that runs in slices; its caller sets the length of each."""

    def __init__(self, work: Callable[[], None], clock: Clock = time.perf_counter) -> None:
        self._work, self._clock, self._end = work, clock, 0.0
        self._stack = greenlet(self._run)

    @property
    def ended(self) -> bool:
        """Whether the work has ended."""
        return bool(self._stack.dead)

    def advance(self, seconds: float) -> None:
        """Run for `seconds`, then to the next pause.

        Raises the exceptions of the work.
        """
        self._end = self._clock() + seconds
        self._stack.parent = getcurrent()
        self._stack.switch()

    def cancel(self) -> None:
        """Drop suspended work and free its frames with their tensors."""
        if not self.ended:
            self._stack.parent = getcurrent()
            self._stack.throw()

    def pause(self, *, end_slice: bool) -> None:
        """Return to the caller of `advance` if the slice is over."""
        if end_slice or self._clock() >= self._end:
            self._stack.parent.switch()

    def wait_for(self, result: Future[T]) -> T:
        """The result of another thread; each slice waits for it until it is over."""
        while not result.done():
            left = min(self._end - self._clock(), _LONGEST_WAIT)
            if not wait([result], timeout=max(0.0, left)).done:
                self.pause(end_slice=True)
        return result.result()

    def _run(self) -> None:
        token = _current.set(self)  # each greenlet has its own context
        try:
            self._work()
        finally:
            _current.reset(token)  # the context would hold this task, and its work, in a cycle


_current: ContextVar[SlicedTask | None] = ContextVar("sliced_task", default=None)


def pause(*, end_slice: bool = False) -> None:
    """Suspend the current sliced task if its slice is over; outside of one, do nothing."""
    task = _current.get()
    if task is not None:
        task.pause(end_slice=end_slice)


def aside(size: int, work: Callable[[], T]) -> T:
    """The result of `work`; long work of a sliced task runs in another thread.

    For work on `size` tokens, or as many words: it has no pauses of its own, and uses no model.
    """
    task = _current.get()
    if task is None or size <= _SMALL:
        return work()
    return task.wait_for(_helper().submit(work))


@cache
def _helper() -> ThreadPoolExecutor:
    """One thread: works that are asked for together would delay each other, and the engine."""
    return ThreadPoolExecutor(1, thread_name_prefix="aside")
