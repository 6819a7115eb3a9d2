"""Runs in progress: their followers, the log, and the throughput that the page shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from forethought.contracts.records import Event
from forethought.recipes.recipe import Recipe
from forethought.server.served_runs import ServedRuns, Throughput
from forethought.sessions.live_session import LiveRequest
from forethought.storage.run_log import RunLog
from tests.server.page import recordings


def live(name: str = "a", tenant: str = "") -> LiveRequest:
    prompt = recordings.prompt("specpc")
    return LiveRequest(name, Recipe(), question="Why?", prompt=prompt, tenant=tenant)


async def take(runs: ServedRuns, request: LiveRequest, events: tuple[Event, ...]) -> None:
    run = runs.begin(request, "exact")
    for event in events:
        await run.take(event)
    run.close()


def test_throughput_counts_each_token_of_a_search_once() -> None:
    runs = ServedRuns(throughput=Throughput(lambda: 100.0))
    events = recordings.events("particle-filter")

    asyncio.run(take(runs, live(), events))

    counted = runs.throughput.rate * 5
    longest = {tuple(one["path"]): one["tokens"] for one in events[-1].data["run"]["candidates"]}
    assert counted == sum(longest.values())


def test_a_run_is_in_the_log_before_its_last_event_is_passed_on(tmp_path: Path) -> None:
    log = RunLog.open(tmp_path / "runs.sqlite")
    runs = ServedRuns(log)

    async def passed_on() -> bool:
        run = runs.begin(live("a", "me"), "exact")
        for event in recordings.events("specpc"):
            await run.take(event)
        return log.get("a", "me") is not None

    assert asyncio.run(passed_on())
    found = log.get("a", "me")
    assert found
    assert found.prompt
    assert "".join(found.prompt["tokens"]) == recordings.prompt("specpc").text


FAILURE = {"error": {"message": "the model stopped", "code": "server_error"}}


def test_a_run_that_an_error_ends_is_in_the_log_as_failed(tmp_path: Path) -> None:
    log = RunLog.open(tmp_path / "runs.sqlite")
    runs = ServedRuns(log)
    events = [one for one in recordings.events("exact") if one.kind != "done"]

    async def failed() -> None:
        run = runs.begin(live("a", "me"), "smollm2")
        for event in events:
            await run.take(event)
        await run.fail(FAILURE)
        run.close()

    asyncio.run(failed())
    log.close()
    log = RunLog.open(tmp_path / "runs.sqlite")

    (listed,) = ServedRuns(log).summaries("me", 10)
    text = "".join(one.data["text"] for one in events if one.kind == "token")
    tokens = sum(one.kind == "token" for one in events)
    assert text
    assert listed["answer"] == text[:200]
    assert (listed["state"], listed["error"]) == ("failed", FAILURE["error"])
    assert (listed["recipe"], listed["tokens"]) == ("smollm2", tokens)
    found = log.get("a", "me")
    assert found
    assert list(found.events) == [*events, Event("error", FAILURE["error"])]
    assert found.prompt
    assert log.summaries("other") == []


def test_a_request_that_is_refused_before_its_run_begins_leaves_no_row(tmp_path: Path) -> None:
    log = RunLog.open(tmp_path / "runs.sqlite")

    async def refused() -> None:
        run = ServedRuns(log).begin(live(), "exact")
        await run.fail(FAILURE)
        run.close()

    asyncio.run(refused())

    assert log.summaries() == []


def test_followers_see_all_events_whenever_they_begin() -> None:
    runs, events = ServedRuns(), recordings.events("exact")

    async def followed() -> list[list[Event]]:
        run = runs.begin(live(), "exact")
        early = asyncio.create_task(collect(run.follow()))
        await asyncio.sleep(0)
        for event in events[:10]:
            await run.take(event)
        middle = asyncio.create_task(collect(run.follow()))
        await asyncio.sleep(0)
        for event in events[10:-1]:
            await run.take(event)
        assert runs.in_progress("a", "") is run
        assert runs.in_progress("a", "other") is None
        await run.take(events[-1])
        run.close()
        assert runs.in_progress("a", "") is None
        return [await early, await middle, await collect(run.follow())]

    async def collect(stream) -> list[Event]:
        return [event async for event in stream]

    assert asyncio.run(followed()) == [list(events)] * 3
