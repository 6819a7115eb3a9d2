"""Requests to a back end with a prefix cache, and the same requests to one without."""

from __future__ import annotations

import itertools
from dataclasses import replace

from forethought.backends.local.local import LocalBackend
from forethought.backends.local.local_run import LocalRun
from forethought.contracts.questions import Question
from forethought.driver.driver import Driver
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.recipes.recipe import Recipe
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveSession
from forethought.sessions.question_run import job_of
from tests.sessions.tiny_session import (
    DOCUMENT,
    DRAFTS,
    QUESTION,
    TARGET,
)
from tests.tiny import tiny_decoder
from tests.tiny_model import tiny_model

AMPLE = 1 << 30
QUESTIONS = [QUESTION, "Which locker has the code 37?", "And locker 7?"]


class Server:
    """A back end with a prefix cache, and plain answers of it."""

    def __init__(self, target=TARGET, draft="same-tokens", prefixes=True, size=AMPLE):
        self.draft = draft if not isinstance(draft, str) else DRAFTS[draft]
        self.target = target
        self.prefixes = PrefixCache(size) if prefixes else None
        recipe = Recipe(model="target")
        self.backend = LocalBackend(
            recipe, target, self.draft, itertools.count().__next__, prefix_cache=self.prefixes
        )
        self.count = 0

    def job(
        self,
        question,
        methods=(),
        *,
        tenant="",
        system=None,
        prompt=None,
        document=DOCUMENT,
        **settings,
    ):
        self.count += 1
        name = f"request {self.count}"
        settings = {"max_tokens": 12, **settings}
        recipe = Recipe(model="target", approximate=methods, **settings)
        local = LocalRun(
            recipe,
            self.target,
            self.draft,
            itertools.count().__next__,
            system,
            prompt=prompt,
            plain=not recipe.search,
            tenant=tenant,
        )
        self.backend.runs[name] = local
        asked = Question(name, question, document)
        return job_of(recipe, name, asked, plain=local.plain)

    def ask(self, question, methods=(), **settings):
        (done,) = Driver(self.backend).run([self.job(question, methods, **settings)])
        if done.error is not None:
            raise done.error
        if self.prefixes is not None:
            self.prefixes.check()
            assert self.prefixes.locked_bytes == 0
        return done


def told(done):
    found = done.found
    return [(one.text, one.token_ids) for one in found.considered]


def cold(question, methods=(), target=TARGET, draft="same-tokens", **settings):
    return Server(target, draft, prefixes=False).ask(question, methods, **settings)


def single(dtype):
    model = tiny_model("target", seed=1, max_position_embeddings=8192)
    settings = {"vocab_size": model.tokenizer.vocabulary_size, "max_position_embeddings": 8192}
    return replace(model, network=tiny_decoder(seed=1, dtype=dtype, **settings))


def live(model):
    opener = LocalOpener(
        lambda name, weights: model, Recipe(model="target"), itertools.count().__next__
    )
    opener.backend.prefix_cache = PrefixCache(AMPLE)
    return LiveSession(opener, itertools.count().__next__), opener.backend


def finished(session, request):
    session.submit(request)
    events = []
    while not session.idle:
        events += [event for name, event in session.step() if name == request.name]
    return events[-1].data["run"]
