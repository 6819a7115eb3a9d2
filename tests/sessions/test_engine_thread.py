"""The engine's thread: requests come and go from event loops."""

import asyncio
import gc
import time
from dataclasses import replace

import pytest

from forethought.contracts.errors import (
    ModelError,
    PromptTooLongError,
    UnknownNameError,
    UsageError,
)
from forethought.contracts.records import Prompt
from forethought.recipes.recipe import Recipe
from forethought.sessions import engine_thread
from forethought.sessions.engine_thread import BusyError, EngineThread, StoppingError
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET


def session():
    return LiveSession(LocalOpener(lambda name, weights: TARGET, Recipe(model="target")))


@pytest.fixture
def engine():
    found = EngineThread(session, max_requests=40)
    found.start()
    found.wait_until_ready()
    yield found
    found.stop()


def request(name, **settings):
    recipe = Recipe(**{"model": "target", "max_tokens": 12, **settings})
    return LiveRequest(name, recipe, QUESTION, DOCUMENT)


async def answered(engine, asked):
    return [event async for event in engine.answer(asked)]


async def eventually(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_many_askers_get_their_own_answers(engine):
    async def ask_all():
        asked = [request(f"r{n}", seed=n, temperature=1.0) for n in range(30)]
        return await asyncio.gather(*(answered(engine, one) for one in asked))

    together = [one[-1].data["run"]["answer"] for one in asyncio.run(ask_all())]
    alone = [
        asyncio.run(answered(engine, request("one", seed=n, temperature=1.0)))[-1].data["run"]
        for n in range(30)
    ]
    assert together == [one["answer"] for one in alone]
    assert len(set(together)) == 30
    assert engine.in_progress == 0


def test_leaving_the_events_frees_the_request(engine, monkeypatch):
    steps, step = [], engine.session.step
    monkeypatch.setattr(engine.session, "step", lambda until: steps.append(until) or step(until))

    async def leave():
        events = engine.answer(request("gone", max_tokens=1500, temperature=2.0))
        async for event in events:
            if event.kind == "token":
                break
        await events.aclose()
        steps.clear()
        await eventually(lambda: engine.session.in_progress == 0)
        assert len(steps) < 20, "it ends at once, and not with its last token"
        await eventually(lambda: engine.session.in_progress == 0)
        assert engine.session.opener.backend.scheduler.idle
        return await answered(engine, request("next"))

    assert asyncio.run(leave())[-1].kind == "done"


def test_a_cancelled_task_frees_the_request(engine):
    async def cancel():
        task = asyncio.create_task(answered(engine, request("gone", max_tokens=2000)))
        await eventually(lambda: engine.session.in_progress == 1)
        task.cancel()
        await eventually(lambda: engine.session.in_progress == 0)

    asyncio.run(cancel())


def test_more_requests_than_the_limit_are_refused_with_a_time(engine):
    async def flood():
        tasks = [
            asyncio.create_task(answered(engine, request(f"r{n}", max_tokens=3))) for n in range(41)
        ]
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(flood())
    refused = [one for one in found if isinstance(one, BusyError)]
    assert len(refused) == 1
    assert refused[0].retry_after >= 1
    assert sum(isinstance(one, list) for one in found) == 40


def test_the_error_of_a_request_is_raised_where_it_was_asked(engine):
    async def refused():
        with pytest.raises(UsageError, match="scorer"):
            await answered(engine, request("bad", search="best-of-n(n=2)"))
        return await answered(engine, request("good"))

    assert asyncio.run(refused())[-1].kind == "done"


@pytest.mark.parametrize("settings", [{}, {"samples": 3}, {"approximate": ("snapkv(keep=64)",)}])
def test_a_refused_prompt_is_freed_before_the_next_collection(engine, settings):
    """Distinct refused prompts of 90,000 tokens took 11 MiB each until a full collection."""

    async def refused(name):
        asked = request(name, **settings)
        try:
            await answered(engine, replace(asked, document=DOCUMENT * 40))
        except PromptTooLongError as error:
            return type(error)

    def held():
        return sum(type(one) in (Prompt, LiveRequest) for one in gc.get_objects())

    asyncio.run(refused("first"))
    gc.collect()
    gc.disable()
    try:
        before = held()
        ends = [asyncio.run(refused(f"long {number}")) for number in range(3)]
        asyncio.run(eventually(lambda: held() <= before, 5))
    finally:
        gc.enable()

    assert ends == [PromptTooLongError] * 3


def test_a_defect_in_a_step_ends_the_requests_and_not_the_server(engine, caplog, monkeypatch):
    async def broken():
        monkeypatch.setattr(engine.session, "step", lambda until: 1 / 0)
        with pytest.raises(ModelError, match="engine failed"):
            await answered(engine, request("lost"))
        return await answered(engine, request("next"))

    assert asyncio.run(broken())[-1].kind == "done"
    assert "ZeroDivisionError" in caplog.text


def test_stopping_ends_what_is_in_progress():
    engine = EngineThread(session)
    engine.start()
    engine.wait_until_ready()

    async def stopped():
        task = asyncio.create_task(answered(engine, request("long", max_tokens=2000)))
        await eventually(lambda: engine.session.in_progress == 1)
        await asyncio.to_thread(engine.stop)
        with pytest.raises(StoppingError, match="stopping"):
            await task

    asyncio.run(stopped())
    assert not engine._thread.is_alive()


def test_a_model_that_does_not_load_is_told_to_whoever_waits():
    def missing():
        raise UnknownNameError("no model is called 'x'", "see: forethought list models")

    engine = EngineThread(missing)
    engine.start()
    with pytest.raises(UnknownNameError):
        engine.wait_until_ready()
    assert not engine.ready


def test_an_idle_engine_returns_unused_memory_once(monkeypatch):
    trimmed = []
    monkeypatch.setattr(engine_thread, "_IDLE_SECONDS", 0.01)
    monkeypatch.setattr(engine_thread, "trim_memory", lambda: trimmed.append(engine.in_progress))
    engine = EngineThread(session)
    engine.start()
    asyncio.run(eventually(lambda: trimmed))
    asyncio.run(answered(engine, request("one")))
    asyncio.run(eventually(lambda: len(trimmed) == 2))
    asyncio.run(asyncio.sleep(0.1))
    engine.stop()
    assert trimmed == [0, 0]
