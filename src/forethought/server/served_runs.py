"""The runs of a server: those in progress, which clients may follow, and a log of the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from forethought.contracts.errors import StoreError
from forethought.contracts.records import Event
from forethought.server.page_data import prompt_document
from forethought.sessions.live_session import LiveRequest
from forethought.storage.run_log import PREVIEW, RunLog, ServedRun, first_answer

_LOG = logging.getLogger("forethought.server")
_OF_FAILED = ("recipe", "settings", "seed", "tokens")
_SPAN = 5.0
"""Seconds over which throughput is averaged."""


class Throughput:
    """Tokens per second of the last seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: deque[tuple[int, int]] = deque()
        """(whole second, tokens)"""

    def add(self, tokens: int = 1) -> None:
        """Count tokens of this moment."""
        second = int(self._clock())
        before = self._counts.pop()[1] if self._counts and self._counts[-1][0] == second else 0
        self._counts.append((second, before + tokens))
        while self._counts[0][0] < second - _SPAN:
            self._counts.popleft()

    @property
    def rate(self) -> float:
        """Tokens per second."""
        now = self._clock()
        return sum(count for second, count in self._counts if second >= now - _SPAN) / _SPAN


@dataclass
class RunInProgress:
    """The events of a run so far, for those who follow it."""

    runs: ServedRuns
    live: LiveRequest
    recipe: str
    """The recipe's spelling for clients."""
    created: float = field(default_factory=time.time)
    """Seconds since 1970."""
    events: list[Event] = field(default_factory=list)
    tokens: int = 0
    """Tokens decoded so far, for all candidates."""
    ended: bool = False
    error: dict[str, Any] | None = None
    """The error that ended it, as clients see it."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _candidates: dict[tuple[str, tuple[int, ...]], int] = field(default_factory=dict)
    """The tokens of a search's candidates, by question and path."""

    async def take(self, event: Event) -> None:
        """Note an event; the last one returns once the run is in the log."""
        self.events.append(event)
        self._tell()
        if event.kind == "done":
            if self.runs.log is not None:
                await asyncio.to_thread(self._record, self.runs.log)
            self.close()
            return
        fresh = self._fresh_tokens(event.data) if event.kind == "candidate" else 0
        fresh += event.kind == "token"
        self.tokens += fresh
        self.runs.throughput.add(fresh)

    @property
    def question(self) -> str:
        """The question; empty if the server keeps no prompts."""
        return "" if self.runs.log is None else self.live.question

    @property
    def prompt(self) -> dict[str, Any] | None:
        """The texts of the prompt's tokens, if they are known and kept."""
        prompt = self.live.prompt
        return None if prompt is None or self.runs.log is None else prompt_document(prompt)

    @property
    def answer(self) -> str:
        """The text of the first answer so far; a search has none before its end."""
        return first_answer(list(self.events))

    def summary(self) -> dict[str, Any]:
        """The entry of this run in a list of runs."""
        return {
            "id": self.live.name,
            "state": "running",
            "created": self.created,
            "question": self.question[:PREVIEW],
            "answer": self.answer[:PREVIEW],
            "recipe": self.recipe,
            "settings": self.live.recipe.settings,
            "seed": self.live.recipe.seed,
            "tokens": self.tokens,
        }

    async def fail(self, error: dict[str, Any]) -> None:
        """Note the error that ends the run, for its followers and, if it had begun, for the log."""
        self.error = error
        if self.events and not self.ended and self.runs.log is not None:
            await asyncio.to_thread(self._record, self.runs.log)

    def close(self) -> None:
        """End the run for its followers; idempotent."""
        self.ended = True
        self.runs.forget(self)
        self._tell()

    async def follow(self) -> AsyncIterator[Event]:
        """All events, those to come included."""
        told = 0
        while True:
            news = self._news
            while told < len(self.events):
                told += 1
                yield self.events[told - 1]
            if self.ended:
                return
            await news.wait()

    def _fresh_tokens(self, grown: Mapping[str, Any]) -> int:
        """The tokens of a candidate beyond those of its parent."""
        topic, path = grown.get("question", ""), tuple(grown["path"])
        before = self._candidates.get((topic, path[:-1]), 0)
        self._candidates[topic, path] = grown["tokens"]
        return max(0, int(grown["tokens"]) - before)

    def _tell(self) -> None:
        before, self._news = self._news, asyncio.Event()
        before.set()

    def _record(self, log: RunLog) -> None:
        """Put the run into the log; a log that fails ends no request."""
        try:
            log.record(self._served())
        except StoreError as error:
            _LOG.warning("run %s is not in the log: %s", self.live.name, error)

    def _served(self) -> ServedRun:
        live, events, failed = self.live, list(self.events), None
        if self.error is not None:
            events.append(Event("error", self.error["error"]))
            failed = {name: self.summary()[name] for name in _OF_FAILED}
        return ServedRun(
            live.name, time.time(), events, self.question, self.prompt, live.tenant, failed
        )


@dataclass
class ServedRuns:
    """The runs of a server."""

    log: RunLog | None = None
    """None keeps no run that has ended."""
    throughput: Throughput = field(default_factory=Throughput)
    _in_progress: dict[str, RunInProgress] = field(default_factory=dict)

    def begin(self, live: LiveRequest, recipe: str) -> RunInProgress:
        """A run that begins now, with its recipe's spelling for clients."""
        found = self._in_progress[live.name] = RunInProgress(self, live, recipe)
        return found

    def forget(self, run: RunInProgress) -> None:
        """A run is no longer in progress."""
        self._in_progress.pop(run.live.name, None)

    def summaries(self, tenant: str, limit: int) -> list[dict[str, Any]]:
        """The newest runs of a tenant, newest first: those in progress, then those in the log."""
        listed = list(self._in_progress.values())
        own = [one.summary() for one in reversed(listed) if one.live.tenant == tenant][:limit]
        known = {one["id"] for one in own}
        ended = [] if self.log is None else self.log.summaries(tenant, limit - len(own))
        return [*own, *({"state": "done", **one} for one in ended if one["id"] not in known)]

    def in_progress(self, identifier: str, tenant: str) -> RunInProgress | None:
        """A run of this tenant that has not ended."""
        found = self._in_progress.get(identifier)
        return found if found is not None and found.live.tenant == tenant else None
