"""How many threads forward passes use: fewer while other processes hold the cores.

All threads of a parallel region wait for the last one, and a decode step has a hundred such
regions. Where another process holds a core, each region waits for the system's scheduler: two
processes on two cores then decode at a tenth of the rate of one alone. With one thread less, each
decodes at two thirds of that rate.

The calling thread computes during the whole of a pass, so time in which it was not given a
core is time that another process had. This is measured, window by window.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F

from forethought.models.hardware.native_settings import allowed_cores, present_cores

_WINDOW = 0.1
"""Seconds of passes that are judged together."""
_CROWDED = 0.2
"""Share of a window without a core that another process explains; alone it is 0.02."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 32.0
"""Seconds of passes before another thread is tried; doubled each time it finds no core."""


@dataclass
class ThreadCount:
    """The number of threads for the next pass, from the time that past passes got."""

    most: int
    """Threads on an idle machine."""
    now: int
    """Threads of the next pass."""
    tried: bool = False
    """Whether the last window was the first with one more thread."""
    wait: float = _FIRST_WAIT
    calm: float = 0.0
    """Seconds of passes since the number of threads changed."""
    warned: bool = False
    """Whether the last window was crowded: one may be a moment's, two are a neighbour's."""
    wall: float = 0.0
    processor: float = 0.0

    def passed(self, wall: float, processor: float) -> int:
        """Note a pass of `wall` seconds in which the caller ran for `processor` seconds."""
        self.wall += wall
        self.processor += processor
        if self.wall >= _WINDOW:
            self._judge()
            self.wall = self.processor = 0.0
        return self.now

    def _judge(self) -> None:
        crowded = self.now > 1 and is_crowded(self.wall, self.processor)
        if crowded and (self.tried or self.warned):
            self.wait = min(2 * self.wait, _LONGEST_WAIT) if self.tried else _FIRST_WAIT
            self._change(-max(1, self.now // 8))
            return
        self.warned = crowded
        if crowded:
            return
        if self.tried:
            self.tried, self.wait = False, _FIRST_WAIT
            self.calm = self.wait  # one more found a core: the next may too
        self.calm += self.wall
        if self.now < self.most and self.calm >= self.wait:
            self._change(max(1, self.now // 8))
            self.tried = True

    def _change(self, by: int) -> None:
        self.now = max(1, min(self.most, self.now + by))
        self.tried, self.warned, self.calm = False, False, 0.0


def is_crowded(wall: float, processor: float) -> bool:
    """Whether a thread that computed all the time was given too little of its core."""
    return processor < (1 - _CROWDED) * wall


@contextmanager
def watched(device: torch.device) -> Iterator[None]:
    """A forward pass; on the CPU it has as many threads as find a core, and is measured."""
    count = _of_process()
    if torch.get_num_threads() != count.now:
        # Set by hand since: this is what the user wants now.
        count.most = count.now = torch.get_num_threads()
    if count.most == 1 or device.type != "cpu":
        yield
        return
    wall, processor = time.perf_counter(), time.thread_time()
    yield
    count.passed(time.perf_counter() - wall, time.thread_time() - processor)
    if count.now != torch.get_num_threads():
        if products_agree():
            torch.set_num_threads(count.now)
        else:
            count.now = torch.get_num_threads()


def most_threads() -> int:
    """The threads that passes use on an idle machine."""
    count = _of_process()
    return count.most if torch.get_num_threads() == count.now else torch.get_num_threads()


@cache
def _of_process() -> ThreadCount:
    """The process's one count; torch's own default is cut to the time that a quota allows."""
    most = torch.get_num_threads()
    if allowed_cores() < most == present_cores():
        most = allowed_cores()
        torch.set_num_threads(most)
    return ThreadCount(most, most)


@cache
def products_agree() -> bool:
    """Whether products give the same bits with one thread as with all of them here.

    Where they do not, the number of threads stays: a run must not depend on its neighbours.
    """
    before = torch.get_num_threads()
    try:
        return all(torch.equal(*_with_one_and(before, *sizes)) for sizes in _SIZES)
    finally:
        torch.set_num_threads(before)


_SIZES = [
    (rows, inputs, outputs, dtype)
    for inputs, outputs in ((8960, 256), (576, 1536))
    for rows in (1, 8, 200)
    for dtype in (torch.bfloat16, torch.float32)
]
"""Sums long enough that a library might share one among threads, and usual ones."""


def _with_one_and(
    threads: int, rows: int, inputs: int, outputs: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, inputs, generator=generator).to(dtype)
    weight = torch.randn(outputs, inputs, generator=generator).to(dtype)
    torch.set_num_threads(1)
    alone = F.linear(x, weight)
    torch.set_num_threads(threads)
    return alone, F.linear(x, weight)
