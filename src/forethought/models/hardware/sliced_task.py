"""Work that can be suspended at its pauses, so that a long forward pass lets others go on.

A pause stands between two blocks of tokens of one layer, deep inside a forward pass. A greenlet
keeps the whole call stack there, so that methods, drafts and networks stay plain functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar

from greenlet import getcurrent, greenlet

Clock = Callable[[], float]


class SlicedTask:
    """A call that runs slice by slice, each as long as its caller allows."""

    def __init__(self, work: Callable[[], None], clock: Clock = time.perf_counter) -> None:
        self._work, self._clock, self._end = work, clock, 0.0
        self._stack = greenlet(self._run)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to run."""
        return bool(self._stack.dead)

    def advance(self, seconds: float) -> None:
        """Run up to the first pause after so many seconds, at least up to the first of all.

        Exceptions of the work are raised here.
        """
        self._end = self._clock() + seconds
        self._stack.parent = getcurrent()
        self._stack.switch()

    def cancel(self) -> None:
        """Drop the work where it stands; its frames, and the tensors they hold, are freed."""
        if not self.ended:
            self._stack.parent = getcurrent()
            self._stack.throw()

    def pause(self, *, end_slice: bool) -> None:
        """Give way to the caller of `advance` once the slice is over."""
        if end_slice or self._clock() >= self._end:
            self._stack.parent.switch()

    def _run(self) -> None:
        _current.set(self)  # a greenlet has a context of its own
        self._work()


_current: ContextVar[SlicedTask | None] = ContextVar("sliced_task", default=None)


def pause(*, end_slice: bool = False) -> None:
    """A place where a sliced task may be suspended; elsewhere it does nothing."""
    task = _current.get()
    if task is not None:
        task.pause(end_slice=end_slice)
