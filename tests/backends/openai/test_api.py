"""Calls to a server: addresses, keys, refusals, waiting, and how many at once."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from forethought.backends.openai.api_keys import key_of
from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.contracts.backend import Request
from forethought.contracts.errors import BadParameterError, RemoteError, UsageError
from forethought.contracts.search import Candidate
from forethought.methods.search.majority_vote import MajorityVote
from tests.backends.openai.openai_server import KEY
from tests.driver.searches import QUESTION, searched


def request(key="k", **changes):
    base = Request(key, "run", QUESTION, Candidate(), (0,), 0, 0, "end", "\n", None, 30)
    return replace(base, **changes)


def ask(remote, n=1):
    return searched(MajorityVote(n=n), backend=remote)


@pytest.mark.parametrize(
    ("text", "base", "model"),
    [
        ("http://h:8000/v1#qwen/2.5", "http://h:8000/v1", "qwen/2.5"),
        ("https://h/api/v1/#m", "https://h/api/v1", "m"),
        ("http://[::1]:80", "http://[::1]:80/v1", ""),
    ],
)
def test_addresses_are_read(text, base, model):
    assert Endpoint.parse(text) == Endpoint(base, model)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h/v1",
        "file:///etc/passwd",
        "h:8000",
        "",
        "http://",
        "http://h:x/v1",
        "http://h/v1?a=b",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(BadParameterError):
        Endpoint.parse(text)


def test_an_address_with_a_password_is_refused_and_the_password_not_shown():
    with pytest.raises(UsageError) as caught:
        Endpoint.parse("http://me:hunter2@h/v1")
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_the_key_is_read_from_the_environment():
    assert key_of({"OPENAI_API_KEY": "b"}) == "b"
    assert key_of({"FORETHOUGHT_API_KEY": "a", "OPENAI_API_KEY": "b"}) == "a"
    assert key_of({"FORETHOUGHT_API_KEY": "", "OPENAI_API_KEY": "b"}) == "b"
    assert key_of({}) == ""


def test_the_key_is_shown_to_the_server_and_to_nobody_else(toy, caplog):
    caplog.set_level("DEBUG")
    toy.set(key=KEY)
    with toy.remote(key=KEY) as remote:
        ask(remote)
        seen = repr(remote) + repr(remote._api) + repr(remote._connection)
    assert set(toy.told()["keys"]) == {f"Bearer {KEY}"}
    assert KEY not in seen
    # What is sent is logged by a library below, if at all: without the value.
    assert KEY not in caplog.text


def test_a_key_that_the_server_repeats_is_struck_out(toy):
    toy.set(key=KEY)
    with toy.remote(key="wrong-key-9") as remote, pytest.raises(RemoteError) as caught:
        ask(remote)
    assert "401" in caught.value.message
    assert "***" in caught.value.message
    assert "wrong-key-9" not in caught.value.message
    assert "FORETHOUGHT_API_KEY" in caught.value.hint


def test_redirects_are_not_followed(toy):
    with toy.remote("toy") as remote:
        assert remote.abilities
        toy.set({"status": 307, "headers": {"Location": f"{toy.base}/v1/elsewhere"}})
        with pytest.raises(RemoteError, match=r"redirects to .*/elsewhere"):
            ask(remote)
    assert len(toy.told()["asked"]) == 1


def test_a_server_that_is_not_there_is_said_to_be_out_of_reach(toy):
    async def sleep(seconds):
        toy.slept.append(seconds)

    with (
        OpenAIBackend(Endpoint("http://127.0.0.1:9/v1", "m"), sleep=sleep, key="") as remote,
        pytest.raises(RemoteError, match=r"connection to http://127.0.0.1:9/v1 failed.*6 attempts"),
    ):
        ask(remote)
    # Twice as long each time, spread over half of it.
    for wait, most in zip(toy.slept, [0.5, 1, 2, 4, 8], strict=True):
        assert most / 2 <= wait <= most
    assert len({wait / most for wait, most in zip(toy.slept, [0.5, 1, 2, 4, 8], strict=True)}) == 5


def test_waits_do_not_grow_beyond_their_limit(toy):
    with toy.remote("toy", patience=Patience(attempts=9, longest_wait=2.0)) as remote:
        assert remote.abilities
        toy.set(*[{"status": 503}] * 8)
        ask(remote)
    assert len(toy.slept) == 8
    assert 1.0 <= toy.slept[-1] <= 2.0


@pytest.mark.parametrize("dated", [False, True])
def test_the_server_is_left_alone_as_long_as_it_asks_for(toy, dated):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=41), usegmt=True)
    with toy.remote("toy") as remote:
        assert remote.abilities
        toy.set({"status": 429, "headers": {"Retry-After": date if dated else "40"}})
        ask(remote, n=1)
        assert max(toy.slept) == pytest.approx(40, abs=1.5)
        toy.slept.clear()
        ask(remote, n=2)
    # All others wait too, and not only the request that was refused.
    assert len(toy.slept) == 2
    assert min(toy.slept) == pytest.approx(40, abs=2.5)


def test_a_server_that_asks_for_hours_is_given_up(toy):
    with toy.remote("toy") as remote:
        assert remote.abilities
        toy.set({"status": 429, "headers": {"Retry-After": "7200"}})
        with pytest.raises(RemoteError, match="429"):
            ask(remote)
    assert toy.slept == []


@pytest.mark.parametrize("status", [400, 403, 404])
def test_what_is_refused_is_not_asked_again(toy, status):
    with toy.remote("toy") as remote:
        assert remote.abilities
        toy.set({"status": status, "body": {"detail": "no such thing"}})
        with pytest.raises(RemoteError, match=f"answered {status}: no such thing") as caught:
            ask(remote)
    assert caught.value.hint
    assert len(toy.told()["asked"]) == 1


def test_no_more_are_on_their_way_at_once_than_allowed(toy):
    with toy.remote("toy", patience=Patience(at_once=3)) as remote:
        assert remote.abilities
        toy.set(delay=0.005)
        ask(remote, n=12)
    assert toy.told()["most_open"] == 3


def test_a_connection_serves_one_request_after_another(toy):
    with toy.remote("toy") as remote:
        for _ in range(3):
            ask(remote)
        assert len(set(toy.told()["peers"])) == 1


def test_closing_leaves_nothing_behind(toy, caplog):
    toy.set(stops="neither", law="long", delay=0.01)
    for _ in range(2):
        with toy.remote("toy") as remote:
            capabilities = remote.capabilities
            remote.submit(request(until="step", delimiter="x", max_tokens=200))
            remote.poll()
            remote.submit(request(key="open", max_tokens=200))
        remote.close()
    gc.collect()
    assert capabilities.stops == "watched"
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
    assert not [one for one in threading.enumerate() if one is remote._thread]


def test_requests_are_spaced_where_a_rate_is_given(toy):
    now = [0.0]

    async def sleep(seconds):
        toy.slept.append(seconds)

    settings = {"patience": Patience(per_minute=30), "clock": lambda: now[0], "sleep": sleep}
    with toy.remote("toy", **settings) as remote:
        assert remote.abilities
        now[0] = 1000.0
        toy.set()
        ask(remote, n=4)
    assert toy.slept == [2.0, 4.0, 6.0]
