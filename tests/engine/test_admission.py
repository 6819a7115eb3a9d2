"""Which sequences run and whose prefill is next: memory, owners, short and long prompts."""

from __future__ import annotations

import itertools
from collections import deque

import pytest

from forethought.engine.scheduler import Scheduler
from forethought.engine.sequence import Prefill
from forethought.models.hardware.sliced_task import pause
from tests.engine.test_scheduler import ready, run, scheduled, written
from tests.tiny import tiny_decoder, tokens_of


@pytest.fixture(scope="module")
def decoder():
    return tiny_decoder()


def test_caches_beyond_the_limit_wait_in_order(decoder):
    sizes = (60, 30, 30, 10)
    sequences = [
        ready(decoder, tokens_of(5), max_tokens=n + 2, prompt_bytes=size)
        for n, size in enumerate(sizes)
    ]
    scheduler = scheduled(*sequences, cache_bytes=100)
    held = []
    while not scheduler.idle:
        scheduler.step()
        begun = [n for n, one in enumerate(sequences) if one.cache is not None]
        held.append(sum(sizes[n] for n in begun if not sequences[n].finish))
        # Nobody overtakes the head of the queue.
        assert begun == list(range(len(begun)))
    assert max(held) <= 100
    assert all(one.finish == "length" for one in sequences)


def test_waits_for_admission_are_recorded_on_the_schedulers_clock(decoder):
    now = 0.0
    scheduler = Scheduler(lambda: now)
    scheduler.admission.max_running, scheduler.admission.waits = 1, deque()
    for length in (3, 2):
        scheduler.add(ready(decoder, tokens_of(5), max_tokens=length))
    while not scheduler.idle:
        scheduler.step()
        now += 10

    # The second sequence is admitted in the step after the three of the first one.
    assert list(scheduler.admission.waits) == [0, 30]


def test_a_cache_larger_than_the_limit_is_admitted_alone(decoder):
    one = ready(decoder, tokens_of(5), max_tokens=2, prompt_bytes=1000)
    run(one, cache_bytes=10)
    assert one.finish == "length"


def test_long_answers_never_hold_more_than_the_limit_and_all_end(decoder):
    """Memory is not reserved for whole answers, yet it suffices for the oldest at any time."""
    prompts = [tokens_of(5, n) for n in range(9)]
    sequences = [
        ready(decoder, one, max_tokens=200, prompt_bytes=5, token_bytes=1) for one in prompts
    ]
    scheduler, peak, most = scheduled(*sequences, cache_bytes=560), 0, 0
    while not scheduler.idle:
        scheduler.step()
        alive = [one for one in sequences if one.cache is not None and not one.finish]
        peak = max(peak, sum(one.held_bytes for one in alive))
        most = max(most, len(alive))
    assert peak <= 560
    assert most > 2, "reserving whole answers would admit two"
    assert [one.tokens for one in sequences] == written(decoder, prompts, max_tokens=200)


def test_owners_get_equal_shares(decoder):
    def asked(owner):
        return ready(decoder, tokens_of(5), max_tokens=3, prompt_bytes=1, owner=owner)

    greedy, modest = [asked("greedy") for _ in range(8)], [asked("modest") for _ in range(2)]
    scheduler = scheduled(*greedy, *modest, cache_bytes=4)
    scheduler.step()
    begun = [one for one in (*greedy, *modest) if one.cache is not None]
    assert begun == [*greedy[:2], *modest]


def test_short_prefills_overtake_a_long_one_which_still_advances(decoder):
    """With a bound, a short prompt does not wait for a long one, nor a long one for ever."""
    slices = []

    def work(name, count):
        def steps():
            for _ in range(count):
                slices.append(name)
                pause(end_slice=True)

        return steps

    def asked(name, count):
        one = ready(decoder, tokens_of(5), max_tokens=2)
        one.prefill = Prefill(work(name, count))
        one.prefill.tokens = count
        return one

    long, short = asked("long", 12), [asked("short", 2) for _ in range(20)]
    run(long, *short, prefill_seconds=0.0)
    assert slices.index("short") < 2
    assert slices.index("long") <= 9, "the oldest is passed over eight times at most"
    gaps = [b - a for a, b in itertools.pairwise(n for n, s in enumerate(slices) if s == "long")]
    assert max(gaps) <= 9
    slices.clear()
    run(asked("first", 15), asked("second", 9), asked("third", 15), prefill_seconds=0.0)
    assert slices == ["first"] * 15 + ["second"] * 9 + ["third"] * 15, "about equal: as they came"
    slices.clear()
    run(asked("long", 12), asked("short", 2))
    assert slices == ["long"] * 12 + ["short"] * 2, "without a bound, in the order of admission"
