"""Long work on texts runs in another thread, and a sliced task pauses until it is done."""

from __future__ import annotations

import itertools
import threading

import pytest

from forethought.contracts.errors import UsageError
from forethought.models.hardware.sliced_task import SlicedTask, aside

LONG = 100_000


def finish(task):
    while not task.ended:
        task.advance(1)


def test_a_task_gives_way_until_the_other_thread_is_done():
    may_end, found = threading.Event(), []

    def work():
        may_end.wait(20)
        return threading.get_ident()

    task = SlicedTask(lambda: found.append(aside(LONG, work)), itertools.count().__next__)
    for _ in range(5):
        task.advance(1)
    assert not task.ended
    assert not found

    may_end.set()
    finish(task)
    assert found[0] != threading.get_ident()


def test_an_error_of_the_work_is_the_error_of_the_task():
    def fails():
        raise UsageError("too few", "take more")

    task = SlicedTask(lambda: aside(LONG, fails))
    with pytest.raises(UsageError, match="too few"):
        finish(task)


def test_a_task_that_waits_can_be_cancelled():
    may_end = threading.Event()
    task = SlicedTask(lambda: aside(LONG, lambda: may_end.wait(20)), itertools.count().__next__)
    task.advance(1)
    task.cancel()
    may_end.set()
    assert task.ended


@pytest.mark.parametrize("size", [1, LONG])
def test_work_runs_at_once_if_it_is_short_or_nothing_else_waits(size):
    here, found = threading.get_ident(), []
    if size == LONG:
        found.append(aside(size, threading.get_ident))
    else:
        SlicedTask(lambda: found.append(aside(size, threading.get_ident))).advance(1)
    assert found == [here]
