"""A prefix cache under requests that come together, mix methods and are cancelled."""

from __future__ import annotations

import itertools
import random
from functools import cache

import pytest
import torch

from forethought.driver.driver import Driver
from forethought.engine.batch import CHUNK
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.recipes.recipe import Recipe
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession
from tests.backends.local.prefix_server import (
    AMPLE,
    QUESTIONS,
    Server,
    cold,
    finished,
    live,
    single,
    told,
)
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import (
    DOCUMENT,
    DRAFTS,
    QUESTION,
    TARGET,
)


def test_sequences_at_the_same_time_share_a_document():
    server = Server()
    questions = [f"What is the code of locker {n}?" for n in range(6)]
    jobs = [server.job(question) for question in questions]
    done = {one.job.run: one for one in Driver(server.backend).run(jobs)}

    for job, question in zip(jobs, questions, strict=True):
        assert told(done[job.run]) == told(cold(question))
    computed = sum(done[job.run].cost.prompt_tokens for job in jobs)
    assert computed < 2 * done[jobs[0].run].cost.prompt_tokens
    server.prefixes.check()
    assert server.prefixes.locked_bytes == 0


def test_a_cancelled_prefill_is_resumed_where_it_was():
    session, backend = live(single(torch.float64))
    text = DOCUMENT * (3 * CHUNK // len(DOCUMENT))
    recipe = Recipe(model="target", max_tokens=12)
    first = LiveRequest("first", recipe, QUESTION, text)
    session.submit(first)
    meter = None
    while meter is None or meter.flops == 0:  # the first chunk is complete
        session.step(0.0)
        meter = next(iter(backend.runs["first"].prompts.values())).meter
    session.cancel("first")

    assert backend.prefix_cache.locked_bytes == 0
    resumed = finished(session, LiveRequest("second", recipe, QUESTION, text))

    assert resumed["cost"]["cached_tokens"] in (CHUNK, 2 * CHUNK)
    fresh, _ = live(single(torch.float64))
    assert resumed["answer"] == finished(fresh, first)["answer"]


def test_a_cancelled_answer_unlocks_its_prefix_and_leaves_its_prompt():
    session, backend = live(TARGET)
    recipe = Recipe(model="target", max_tokens=400)
    session.submit(LiveRequest("first", recipe, QUESTION, DOCUMENT))
    tokens = 0
    while tokens < 100:
        tokens += sum(event.kind == "token" for _, event in session.step())
    assert backend.prefix_cache.locked_bytes > 0
    session.cancel("first")

    backend.prefix_cache.check()
    assert backend.prefix_cache.locked_bytes == 0
    second = finished(session, LiveRequest("second", recipe, QUESTION, DOCUMENT))
    assert second["cost"]["prompt_tokens"] == 2


MIXED = [
    {},
    {"temperature": 1.2, "samples": 2, "seed": 3},
    {"approximate": ("specpc-shallow(keep=260)",)},
    {"approximate": ("specpc-shallow(keep=260)",), "draft": "same-tokens"},
    {"approximate": ("snapkv(keep=120)",)},
    {"approximate": ("h2o(keep=200, every=3)",)},
    {"approximate": ("quantised-kv(bits=4)",)},
    {"search": "beam(n=4, width=2)", "scorer": "likelihood"},
    {"model": "other-tokens"},
]


MODELS = {"target": TARGET, **DRAFTS}


def mixed_session(size):
    clock = itertools.count().__next__
    opener = LocalOpener(lambda name, weights: MODELS[name], Recipe(model="target"), clock)
    opener.backend.prefix_cache = PrefixCache(size)
    return LiveSession(opener, clock), opener.backend.prefix_cache


@pytest.mark.parametrize(("seed", "size"), fast_each(2, [(0, AMPLE), (1, 700_000), (2, 400_000)]))
def test_mixed_requests_that_come_and_go_are_answered_as_alone(seed, size):
    chance = random.Random(seed)
    session, prefixes = mixed_session(size)
    answers, requests = {}, {}
    for number in range(40):
        recipe = Recipe(**{"model": "target", "max_tokens": 12, **chance.choice(MIXED)})
        document = chance.choice([DOCUMENT, DOCUMENT[::-1]])
        text, tenant = chance.choice(QUESTIONS), chance.choice(["", "other"])
        name = f"request {number}"
        requests[name] = LiveRequest(name, recipe, text, document, tenant=tenant)
        session.submit(requests[name])
        for _ in range(chance.randrange(30)):
            answers |= ended(session.step(0.0))
            prefixes.check()
        waiting = [one for one in requests if one not in answers]
        if waiting and chance.random() < 0.3:
            dropped = chance.choice(waiting)
            session.cancel(dropped)
            del requests[dropped]
    while not session.idle:
        answers |= ended(session.step())

    assert prefixes.counters.hit > 300
    assert prefixes.locked_bytes == 0
    assert set(answers) == set(requests)
    for name, run in answers.items():
        one = requests[name]
        assert run["answer"] == alone(one.recipe, one.question, one.document)


def ended(events):
    return {name: event.data["run"] for name, event in events if event.kind == "done"}


@cache
def alone(recipe, question, document):
    """The answer without company and without a prefix cache."""
    clock = itertools.count().__next__
    opener = LocalOpener(lambda name, weights: MODELS[name], Recipe(model="target"), clock)
    return finished(LiveSession(opener, clock), LiveRequest("alone", recipe, question, document))[
        "answer"
    ]


def test_a_long_document_that_is_shortened_leaves_the_entries_of_others():
    model = single(torch.float32)
    server = Server(model, draft=model)
    first = server.ask(QUESTION)
    token_bytes = server.prefixes.bytes // (first.cost.prompt_tokens + first.cost.output_tokens)
    held = server.prefixes.bytes
    # There is room for both prompts as they are prefilled, not for the whole document.
    server.backend.scheduler.admission.cache_bytes = held + 2000 * token_bytes

    server.ask(QUESTION, ("truncate(keep=200)",), document=DOCUMENT * 20, tenant="other")
    again = server.ask(QUESTION)

    assert again.cost.cached_tokens >= first.cost.prompt_tokens - 2
    assert server.prefixes.bytes > held
