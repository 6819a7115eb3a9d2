"""One thread owns the engine, and any thread may ask it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from forethought.adapters.local_engine import LocalEngine, usage_details
from forethought.contracts.errors import ModelError, UnknownNameError, UsageError
from forethought.recipes.recipe import Recipe
from forethought.sessions.live_session import LiveRequest
from tests.sessions.tiny_session import DOCUMENT, DRAFTS, QUESTION, TARGET

MODELS = {"target": TARGET, **DRAFTS}
RECIPES = [
    Recipe(model="target", max_tokens=12),
    Recipe(model="target", max_tokens=12, temperature=1.3, samples=3, seed=5),
    Recipe(model="target", max_tokens=12, approximate=("specpc-shallow(keep=260)",)),
    Recipe(model="target", max_tokens=12, search="majority-vote(n=4)"),
]


def engine() -> LocalEngine:
    return LocalEngine(lambda name, weights: MODELS[name])


def request(number: int, recipe: Recipe) -> LiveRequest:
    return LiveRequest(f"r{number}", recipe, f"{QUESTION} {number}", DOCUMENT)


def texts(events: list) -> tuple:
    run = events[-1].data["run"]
    return run["answer"], run["finish"], [one["text"] for one in run["candidates"]]


def test_requests_of_many_threads_are_answered_as_if_each_were_alone() -> None:
    asked = [request(n, recipe) for n, recipe in enumerate(RECIPES * 2)]
    shared = engine()

    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(shared.run, asked))

    assert list(map(texts, together)) == [texts(engine().run(one)) for one in asked]


def test_tokens_arrive_while_the_answer_is_written() -> None:
    shared = engine()
    events = shared.answer(request(0, replace(RECIPES[0], max_tokens=1500)))

    next(one for one in events if one.kind == "token")

    assert shared.in_progress == 1
    events.close()


def test_leaving_the_iterator_frees_all_that_the_request_holds() -> None:
    shared = engine()
    events = shared.answer(request(0, replace(RECIPES[0], max_tokens=1000)))
    next(one for one in events if one.kind == "token")

    events.close()
    shared.run(request(1, RECIPES[0]))  # the thread handles the departure before it

    assert shared.in_progress == 0
    assert not shared._engine.session.opener.backend.runs


def test_another_thread_can_cancel_a_request() -> None:
    shared, failed = engine(), []

    def ask() -> None:
        try:
            shared.run(request(0, replace(RECIPES[0], max_tokens=1500)))
        except ModelError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not shared.in_progress:
        time.sleep(0.001)
    shared.cancel("r0")
    thread.join()

    assert [one.message for one in failed] == ["the request was cancelled"]
    assert texts(shared.run(request(1, RECIPES[0]))) == texts(engine().run(request(1, RECIPES[0])))


def test_an_error_ends_its_own_request_alone() -> None:
    shared = engine()
    wrong = replace(RECIPES[0], search="best-of-n(n=2)", scorer="likelihood", draft="self")
    wrong = replace(wrong, search="cascade", scorer="")  # needs a draft

    with pytest.raises(UsageError):
        shared.run(request(0, wrong))

    assert shared.run(request(1, RECIPES[0]))[-1].kind == "done"


def test_a_defect_reaches_who_waits_and_the_engine_goes_on(monkeypatch) -> None:
    shared = engine()

    shared.run(request(0, RECIPES[0]))
    monkeypatch.setattr(shared._engine.session, "step", lambda until: 1 / 0)
    with pytest.raises(ModelError, match="engine failed"):
        shared.run(request(2, RECIPES[0]))

    assert shared.run(request(1, RECIPES[0]))[-1].kind == "done"


def test_a_model_loads_once_and_one_on_a_server_is_refused() -> None:
    loads = []
    shared = LocalEngine(lambda name, weights: loads.append(name) or MODELS[name])

    shared.model("target")
    shared.run(request(0, RECIPES[0]))

    assert loads == ["target"]
    with pytest.raises(UsageError, match="is a model on a server"):
        shared.model("http://localhost:1/v1#big")


def test_an_unknown_model_is_told_to_the_caller() -> None:
    with pytest.raises(UnknownNameError, match="no model is called 'smolm2'"):
        LocalEngine().model("smolm2")


def test_usage_lists_the_tokens_besides_prompt_and_answer() -> None:
    run = engine().run(request(0, RECIPES[2]))[-1].data["run"]

    assert usage_details(run) == {"draft_tokens": run["cost"]["draft_tokens"]}
    assert usage_details(engine().run(request(0, RECIPES[0]))[-1].data["run"]) == {}
