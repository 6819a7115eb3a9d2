from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch

from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.models.hardware import threads
from forethought.models.hardware.threads import ThreadCount, most_threads, products_agree, watched
from tests.tiny import batch_of, tiny_decoder, tokens_of

PASS = 0.02
"""Seconds of a simulated pass."""


def run(count: ThreadCount, seconds: float, cores: float) -> list[int]:
    """Passes on a machine that has `cores` for this process: threads beyond them must wait."""
    used = []
    for _ in range(round(seconds / PASS)):
        used.append(count.now)
        count.passed(PASS, PASS * (1.0 if count.now <= cores else 0.5))
    return used


def test_on_an_idle_machine_all_threads_are_kept():
    assert set(run(ThreadCount(2, 2), seconds=100, cores=2)) == {2}


def test_a_neighbour_takes_one_thread_and_gives_it_back_when_it_ends():
    count = ThreadCount(2, 2)

    beside = run(count, seconds=0.3, cores=1)
    after = run(count, seconds=1.5, cores=2)

    assert beside[-1] == 1
    assert after[-1] == 2


def test_trying_for_a_core_that_stays_taken_costs_less_and_less():
    count = ThreadCount(2, 2)
    run(count, seconds=200, cores=1)

    later = run(count, seconds=200, cores=1)

    assert later.count(2) <= 0.01 * len(later)
    assert 2 in later  # it does try


def test_many_threads_settle_on_the_cores_that_are_free_and_come_back():
    count = ThreadCount(16, 16)

    beside = run(count, seconds=20, cores=7)
    back = run(count, seconds=40, cores=16)

    assert max(set(beside[200:]), key=beside[200:].count) == 7
    assert back[-1] == 16


def test_one_thread_is_never_taken():
    count = ThreadCount(1, 1)
    assert set(run(count, seconds=5, cores=0.5)) == {1}


def test_a_pause_of_a_moment_is_no_neighbour():
    count = ThreadCount(2, 2)
    count.passed(0.09, 0.09)
    assert count.passed(0.02, 0.01) == 2


def test_one_window_without_a_core_is_no_neighbour():
    count = ThreadCount(2, 2)
    for _ in range(50):
        assert count.passed(0.1, 0.05) == 2
        assert count.passed(0.1, 0.1) == 2


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    threads._of_process.cache_clear()
    yield
    torch.set_num_threads(before)
    threads._of_process.cache_clear()


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that another process holds: time passes, and this thread does not run."""
    wall = itertools.count()
    monkeypatch.setattr(threads.time, "perf_counter", lambda: float(next(wall)))
    monkeypatch.setattr(threads.time, "thread_time", lambda: 0.0)


@pytest.mark.usefixtures("two_threads", "crowded")
def test_a_pass_without_processor_time_leaves_torch_one_thread_less() -> None:
    for _ in range(2):
        with watched(torch.device("cpu")):
            during = torch.get_num_threads()

    assert during == 2
    assert torch.get_num_threads() == (1 if products_agree() else 2)
    assert most_threads() == 2


@pytest.mark.usefixtures("two_threads", "crowded")
def test_where_products_differ_with_threads_their_number_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "products_agree", lambda: False)

    for _ in range(4):
        with watched(torch.device("cpu")):
            pass

    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads", "crowded")
def test_passes_of_a_batch_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "products_agree", lambda: True)
    batch = batch_of(tiny_decoder())
    row = SequenceCache(len(batch.network.shape.layers))

    for token in tokens_of(2):
        batch.step([row], [token])

    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("two_threads")
def test_a_quota_cuts_the_threads_that_torch_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "present_cores", lambda: 2)
    monkeypatch.setattr(threads, "allowed_cores", lambda: 1)

    assert most_threads() == 1
    assert torch.get_num_threads() == 1


@pytest.mark.usefixtures("two_threads")
def test_a_number_that_is_set_by_hand_is_the_new_most() -> None:
    with watched(torch.device("cpu")):
        pass
    torch.set_num_threads(1)

    with watched(torch.device("cpu")):
        assert torch.get_num_threads() == 1
    assert most_threads() == 1


def test_comparing_products_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    products_agree.cache_clear()
    products_agree()
    assert torch.get_num_threads() == before
