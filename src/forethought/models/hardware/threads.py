"""Adapts the number of threads of forward passes to the load of other processes.

All threads of a parallel region wait for the last one, and a decode step has a hundred regions. If
another process holds a core, each region waits for the system's scheduler: two processes on two
cores decode at a tenth of one process's rate. With one thread less, each reaches two thirds.

The calling thread computes throughout a pass, so wall time without processor time means that
another process ran. It is measured in windows.
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
"""Seconds of passes per measurement."""
_CROWDED = 0.2
"""Share of a window without a core that indicates another process; alone it is 0.02."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 32.0
"""Seconds of passes before another thread is tried; doubled after each failure."""


@dataclass
class ThreadCount:
    """The number of threads for the next pass, adapted to past passes."""

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
    """Whether the last window was crowded: only two crowded windows in a row count."""
    wall: float = 0.0
    processor: float = 0.0

    def passed(self, wall: float, processor: float) -> int:
        """Record a pass of `wall` seconds with `processor` seconds of the caller's CPU time."""
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
            self.calm = self.wait  # the added thread found a core: try the next at once
        self.calm += self.wall
        if self.now < self.most and self.calm >= self.wait:
            self._change(max(1, self.now // 8))
            self.tried = True

    def _change(self, by: int) -> None:
        self.now = max(1, min(self.most, self.now + by))
        self.tried, self.warned, self.calm = False, False, 0.0


def is_crowded(wall: float, processor: float) -> bool:
    """Whether a busy thread got noticeably less processor time than wall time."""
    return processor < (1 - _CROWDED) * wall


@contextmanager
def watched(device: torch.device) -> Iterator[None]:
    """Run a forward pass; on the CPU, measure it and adapt the number of threads."""
    count = _of_process()
    if torch.get_num_threads() != count.now:
        # The user has called torch.set_num_threads, which takes precedence.
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
    """Threads of passes on an idle machine."""
    count = _of_process()
    return count.most if torch.get_num_threads() == count.now else torch.get_num_threads()


@cache
def _of_process() -> ThreadCount:
    """The process's thread count; torch's default is cut to a cgroup quota."""
    most = torch.get_num_threads()
    if allowed_cores() < most == present_cores():
        most = allowed_cores()
        torch.set_num_threads(most)
    return ThreadCount(most, most)


@cache
def products_agree() -> bool:
    """Whether matrix products are bit-identical with one thread and with all.

    If not, the number of threads stays fixed: results must not depend on other processes.
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
"""Usual products, and sums so long that a library might split them among threads."""


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
