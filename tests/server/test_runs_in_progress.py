"""Runs in progress over HTTP: listed, shown and followed by the key that asked, and by no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from forethought.contracts.questions import Sample
from forethought.server import app
from tests.server.page.replaying_server import stored_samples
from tests.server.served import QUESTION, Served, error_of, serving, until

KEYS = ("first-key-1234", "second-key-5678")
OWN, OTHER = ({"Authorization": f"Bearer {key}"} for key in KEYS)
LONG = {"model": "tiny", "messages": QUESTION, "stream": True, "max_tokens": 1900,
        "ignore_eos": True, "temperature": 1.0, "seed": 0}  # fmt: skip


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    with serving(keys=KEYS) as running:
        yield running


@contextmanager
def streaming(served: Served, **fields: object) -> Iterator[Iterator[str]]:
    """The lines of a long answer to the first key."""
    path, body = "/v1/chat/completions", {**LONG, **fields}
    with served.http.stream("POST", path, json=body, headers=OWN) as reply:
        lines = reply.iter_lines()
        assert all(next(lines) is not None for _ in range(20))
        yield lines
    until(lambda: served.server.engine.in_progress == 0)


def listed(served: Served, headers: dict[str, str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = served.get("/v1/runs", headers=headers).json()["data"]
    return found


def test_a_running_request_is_listed_and_shown_to_its_own_key_alone(locked: Served) -> None:
    with streaming(locked):
        (run,) = [one for one in listed(locked, OWN) if one["state"] == "running"]
        place = f"/v1/runs/{run['id']}"
        shown = locked.get(place, headers=OWN).json()
        for path in (place, f"{place}/events", f"{place}/export"):
            error_of(locked.get(path, headers=OTHER), 404)

        assert listed(locked, OTHER) == []
        assert run["tokens"] > 0
        assert run["question"] == shown["question"] == QUESTION[0]["content"]
        assert shown["state"] == "running"
        assert shown["answer"].startswith(str(run["answer"]))
        assert QUESTION[0]["content"] in "".join(shown["prompt"]["tokens"])
        assert shown["form"]["model"] == "tiny"
        assert (
            "has not ended" in error_of(locked.get(f"{place}/export", headers=OWN), 409)["message"]
        )


def test_the_events_of_a_running_request_are_those_of_the_whole_run(locked: Served) -> None:
    with streaming(locked, max_tokens=300) as lines:
        running = next(one for one in listed(locked, OWN) if one["state"] == "running")
        place = f"/v1/runs/{running['id']}"
        with locked.http.stream("GET", f"{place}/events", headers=OWN) as reply:
            followed = [line for line in reply.iter_lines() if line]
        answer = "".join(map(delta, lines))

    assert followed[-1] == "data: [DONE]"
    assert json.loads(followed[-2].removeprefix("data: "))["kind"] == "done"
    again = locked.get(f"{place}/events", headers=OWN).text.split("\n\n")
    assert [one for one in again if one] == followed
    assert answer
    (ended,) = [one for one in listed(locked, OWN) if one["id"] == running["id"]]
    assert ended["state"] == locked.get(place, headers=OWN).json()["state"] == "done"


def delta(line: str) -> str:
    if not line.startswith("data: {"):
        return ""
    choices = json.loads(line.removeprefix("data: "))["choices"]
    return "".join(one["delta"].get("content", "") for one in choices)


def test_a_server_that_keeps_no_prompts_shows_none_of_a_running_request() -> None:
    with serving(keep_runs=False) as served, streaming(served):
        (run,) = listed(served, {})
        shown = served.get(f"/v1/runs/{run['id']}").json()

        assert run["question"] == shown["question"] == ""
        assert shown["prompt"] is None


def test_stored_comparisons_belong_to_no_one_of_several_keys(
    locked: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def samples() -> list[Sample]:
        return stored_samples()

    monkeypatch.setattr(app, "stored_samples", samples)

    assert locked.get("/v1/comparisons", headers=OWN).json() == {"data": []}
    with serving(keys=KEYS[:1]) as single:
        found = single.get("/v1/comparisons", headers=OWN).json()["data"]
        assert [one["task"] for one in found] == ["needle(count=4)"]


def test_a_follower_sees_the_error_of_a_run_that_the_server_ends() -> None:
    with serving() as served, streaming(served):
        (run,) = listed(served, {})
        with served.http.stream("GET", f"/v1/runs/{run['id']}/events") as reply:
            lines = reply.iter_lines()
            next(lines)
            served.server.engine.end_requests()
            followed = [line for line in lines if line]

    assert followed[-1] == "data: [DONE]"
    last = json.loads(followed[-2].removeprefix("data: "))
    assert (last["kind"], last["data"]["code"]) == ("error", "server_stopping")


def test_a_run_that_an_error_ended_is_listed_and_shown_with_it_and_not_exported() -> None:
    with serving() as served:
        with streaming(served) as lines:
            served.server.engine.end_requests()
            assert any("server_stopping" in line for line in lines)
        (run,) = listed(served, {})
        place = f"/v1/runs/{run['id']}"
        shown = served.get(place).json()
        told = [one for one in served.get(f"{place}/events").text.split("\n\n") if one]

        assert run["state"] == shown["state"] == "failed"
        assert run["error"] == shown["error"]
        assert shown["error"]["code"] == "server_stopping"
        assert run["tokens"] > 0
        assert shown["answer"].startswith(str(run["answer"]))
        assert shown["form"]["model"] == "tiny"
        assert json.loads(told[-2].removeprefix("data: "))["kind"] == "error"
        assert "ended with an error" in error_of(served.get(f"{place}/export"), 409)["message"]
