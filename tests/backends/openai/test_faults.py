"""Servers that fail, stall or are left: nothing is lost, nothing paid twice."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from forethought.backends.known import sequences
from forethought.backends.openai.concurrency import ConcurrencyLimit
from forethought.backends.openai.endpoint import Patience
from forethought.contracts.backend import VerdictRequest
from forethought.contracts.errors import RemoteError
from forethought.contracts.records import Cost
from forethought.methods.search.majority_vote import MajorityVote
from forethought.sessions.run_record import wasted_work
from tests.backends.openai.openai_server import PROMPT_TOKENS
from tests.backends.openai.remote_asks import (
    Derived,
    first_letter,
    known,
    outcome_of,
    request,
    told,
)
from tests.driver.searches import searched, three_steps


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"Retry-After": "3"}},
        {"status": 500},
        {"status": 503},
        {"drop": "before"},
        {"drop": "after"},
        {"drop": 0},
        {"error": 0},
    ],
)
def test_what_goes_wrong_once_changes_nothing_and_is_charged_once(toy, remote, fault):
    toy.set(fault, None, fault)
    done = searched(MajorityVote(n=5), backend=remote)

    assert told(done) == known(MajorityVote(n=5))
    counted = (done.cost.output_tokens, done.lost.output_tokens)
    assert counted == (sum(one.tokens for one in done.found.considered), 0)
    assert len(toy.told()["asked"]) == (5 if fault == {"drop": "after"} else 7)


@pytest.mark.parametrize(
    "broken", [{"drop": 4}, {"drop": 4, "clean": True}, {"error": 4}, {"abort": 4}]
)
def test_a_broken_answer_is_gone_on_from_and_no_token_is_paid_twice(toy, remote, broken):
    toy.set(broken)
    found = outcome_of(remote, request())

    assert found.piece.text in sequences(three_steps)
    assert found.piece.finish == "stop"
    assert found.cost.output_tokens == found.piece.tokens == 6
    assert found.cost.prompt_tokens == PROMPT_TOKENS
    assert toy.told()["written"] == 6
    first, second = toy.told()["asked"]
    assert second["messages"][-1] == {"role": "assistant", "content": found.piece.text[:4]}
    assert second["max_tokens"] == first["max_tokens"] - 4
    assert first["seed"] != second["seed"]
    assert found.lost.prompt_tokens == PROMPT_TOKENS


@pytest.mark.parametrize("lacking", [{"continues": False}, {"logprobs": False}])
def test_a_broken_answer_that_cannot_be_gone_on_from_is_asked_for_anew(toy, lacking):
    toy.set(**lacking)
    with toy.remote("toy") as remote:
        assert remote.capabilities.usage
        toy.set({"drop": 4}, {"drop": 3}, **lacking)
        found = outcome_of(remote, request())

    expected = outcome_of(Derived(three_steps), request())
    assert (found.piece.text, found.piece.tokens) == (expected.piece.text, 6)
    assert found.cost.output_tokens == 6
    if lacking == {"continues": False}:
        assert found.lost.output_tokens == 7


def test_what_was_done_in_vain_is_told_beside_the_cost(toy):
    toy.set(continues=False)
    with toy.remote("toy") as remote:
        assert remote.capabilities.usage
        toy.set({"drop": 4}, continues=False)
        done = searched(MajorityVote(n=1), backend=remote)

    assert done.cost.output_tokens == 6
    (note,) = wasted_work(done.lost)
    assert f"wasted {PROMPT_TOKENS} prompt and 4 output tokens" in note
    assert not list(wasted_work(Cost()))


def test_what_a_server_writes_unasked_is_told_and_held_against_no_budget(toy, remote):
    assert remote.capabilities.usage
    toy.set(heeds=False)
    done = searched(MajorityVote(n=2), backend=remote, budget="6tok")

    assert done.cost.output_tokens == 6
    # The connection is closed at the first token beyond the three that each was asked for.
    assert done.lost.output_tokens == 2
    (note,) = wasted_work(done.lost)
    assert "and 2 output tokens" in note
    assert "more than requested" in note


def test_a_step_whose_end_came_in_two_halves_is_seen(toy):
    toy.set(law="three_steps")
    with toy.remote("toy") as remote:
        assert remote.capabilities.stops == "kept"
        toy.set({"drop": 1})
        found = outcome_of(remote, request(until="step", delimiter=f"{first_letter()}\n"))
    assert found.piece.finish == "step"
    assert found.piece.text == f"{first_letter()}\n"
    assert found.cost.output_tokens == 2  # and not written beyond


def test_what_never_goes_well_is_an_error_that_costs_what_was_written(toy, remote):
    toy.set({"drop": 2}, *[{"status": 502}] * 5)
    found = outcome_of(remote, request())

    assert isinstance(found.error, RemoteError)
    assert "6 attempts" in str(found.error)
    assert found.cost.output_tokens == 2
    toy.set(*[{"drop": "before"}] * 6)
    assert outcome_of(remote, request()).cost == Cost(usd=0.0)
    assert len(toy.told()["asked"]) == 6

    toy.set({"drop": 3}, {"drop": 2}, *[{"status": 502}] * 4, continues=False)
    with toy.remote(
        "toy", known_capabilities=replace(remote.capabilities, continues=False)
    ) as other:
        assert outcome_of(other, request()).cost.output_tokens == 3


def test_cancelling_closes_the_connection_and_keeps_what_came(toy):
    toy.set(law="long")
    with toy.remote("toy") as remote:
        assert remote.abilities
        toy.set(law="long", delay=0.02)
        remote.submit(request(key="slow", max_tokens=400))
        while toy.told()["written"] < 4:
            assert remote.poll(remote.now() + 0.1) == []
        remote.cancel("slow")
        (found,) = remote.poll()
        assert found.piece.finish == "cancelled"
        assert found.piece.text == "x" * found.piece.tokens
        assert 0 < found.piece.tokens == found.cost.output_tokens < 300
        assert closed(toy)
        remote.submit(request(key="never", max_tokens=400))
        remote.cancel("never")
        (found,) = remote.poll()
        assert (found.key, found.piece.text) == ("never", "")


def test_time_ends_a_search_with_what_there_is(toy):
    toy.set(law="long", delay=0.02)
    with toy.remote("toy") as remote:
        assert remote.abilities
        start = time.monotonic()
        done = searched(MajorityVote(n=3), backend=remote, budget="1s", max_tokens=400)
        assert time.monotonic() - start < 6  # all tokens would take 8
    assert {one.finish for one in done.found.considered} == {"budget"}
    assert done.cost.output_tokens == sum(one.tokens for one in done.found.considered) > 0


def test_slow_tokens_are_waited_for_and_silence_is_not(toy):
    toy.set(law="coin", delay=0.2)
    with toy.remote("toy", patience=Patience(silence_seconds=1.0)) as remote:
        assert remote.abilities
        assert outcome_of(remote, request()).piece.finish == "stop"
        capabilities = remote.capabilities
    toy.set(law="coin", delay=0.8)
    patience = Patience(silence_seconds=0.5, attempts=2)
    with toy.remote("toy", patience=patience, known_capabilities=capabilities) as remote:
        whole = outcome_of(remote, request(key="whole", max_tokens=1))
        broken = outcome_of(remote, request(key="broken", max_tokens=9))
    # Its one token came before the silence: nothing was missing but the end.
    assert (whole.piece.tokens, whole.piece.finish) == (1, "length")
    assert "sent nothing for too long (ReadTimeout) (2 attempts)" in str(broken.error)
    assert broken.cost.output_tokens == 2


def test_verdicts_that_are_cancelled_come_nonetheless(toy, remote):
    remote.submit(VerdictRequest("j", "run", ("judge a",), ("yes", "no")))
    remote.cancel("j")
    (found,) = remote.poll()
    assert sum(found.chances[0]) == pytest.approx(1)


def test_a_released_run_is_ended_and_never_told_of(toy):
    toy.set(law="long")
    with toy.remote("toy") as remote:
        assert remote.abilities
        toy.set(law="long", delay=0.02)
        remote.submit(request(key="old", max_tokens=400))
        while toy.told()["written"] < 4:
            assert remote.poll(remote.now() + 0.1) == []
        remote.release("run")
        remote.submit(request(key="old", run="other", max_tokens=3))
        (found,) = remote.poll()
        assert (found.key, found.piece.text) == ("old", "xxx")
        assert closed(toy)


def closed(toy):
    deadline = time.monotonic() + 4  # all of it would take 8
    while time.monotonic() < deadline:
        if toy.told()["open"] == 0:
            return True
        time.sleep(0.02)
    return False


def test_a_server_that_breaks_answers_off_for_others_is_asked_for_fewer_at_once(toy):
    patience = Patience(attempts=2, at_once=8)
    with toy.remote("toy", patience=patience) as remote:
        assert remote.abilities
        toy.set(interrupts=True, continues=False, delay=0.004)
        remote.known_capabilities = replace(remote.capabilities, continues=False)
        done = searched(MajorityVote(n=12), backend=remote)

    assert told(done) == known(MajorityVote(n=12))
    assert done.cost.output_tokens == 12 * 6
    assert toy.told()["most_open"] > 1
    assert len(toy.told()["asked"]) > 12


def test_a_server_that_serves_one_after_the_other_is_asked_for_fewer_at_once(toy):
    patience = Patience(attempts=2, at_once=8, silence_seconds=0.4)
    toy.set(one_by_one=True, delay=0.02)
    with toy.remote("toy", patience=patience) as remote:
        assert remote.abilities
        done = searched(MajorityVote(n=10), backend=remote)

    assert told(done) == known(MajorityVote(n=10))
    assert len(toy.told()["asked"]) > 10


def test_a_server_that_breaks_off_every_answer_is_given_up(toy, remote):
    toy.set(*[{"drop": 2}] * 100, delay=0.002)
    remote.known_capabilities = replace(remote.capabilities, continues=False)
    with pytest.raises(RemoteError, match=r"\(6 attempts\)"):
        searched(MajorityVote(n=4), backend=remote)

    # Beside its attempts, each is sent again at most once for every time that places were halved.
    assert len(toy.told()["asked"]) <= 4 * (6 + 4)


def test_places_become_fewer_once_for_all_that_break_off_together():
    async def taken():
        limit = ConcurrencyLimit(8)
        async with limit.slot(), limit.slot(), limit.slot():
            first, second = await limit.lower(8), await limit.lower(8)
            seen = [limit.allowed]
            while limit.allowed > 1:
                await limit.lower(limit.allowed)
                seen.append(limit.allowed)
        alone = await limit.lower(1)
        async with limit.slot():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(limit.slot().__aenter__(), 0.01)
        return first, second, seen, alone

    assert asyncio.run(taken()) == (True, True, [4, 2, 1], False)


def test_a_lone_answer_that_breaks_off_has_no_others_to_blame():
    limit = ConcurrencyLimit(8)
    assert not asyncio.run(limit.lower(8))
    assert limit.allowed == 8
