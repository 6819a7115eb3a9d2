"""A server of the OpenAI kind as a back end: vLLM, SGLang, llama.cpp, Ollama, or a vendor's.

Every piece is a request of its own with a seed of its own, so that what is written does not
depend on what else is asked: several answers to one request (`n`) would share one seed.
Tokens are the server's; it does not tell their numbers.
"""

from __future__ import annotations

import asyncio
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Self, TypeVar

from forethought.backends.openai.api import Api, Sleep
from forethought.backends.openai.api_keys import checked_key, key_of
from forethought.backends.openai.capabilities import Probe, first_model
from forethought.backends.openai.completions import Completion, Connection
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.backends.openai.protocol import (
    Capabilities,
    CompletionParams,
    Price,
    Raw,
    cost_of,
    price_of,
    prompt_of,
)
from forethought.backends.openai.verdicts import VerdictCall, reply_tokens
from forethought.contracts.backend import (
    CostBound,
    Request,
    RequestOutcome,
    VerdictRequest,
)
from forethought.contracts.errors import UsageError
from forethought.contracts.records import Cost, LimitKind
from forethought.contracts.search import Ability, Piece

Found = TypeVar("Found")
Work = Completion | VerdictCall


@dataclass
class OpenAIBackend:
    """A server's model, asked piece by piece. Close it, or use it in a `with`."""

    endpoint: Endpoint
    manner: CompletionParams = field(default_factory=CompletionParams)
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By name of the model; under "" that of all others."""
    raw: Raw | None = None
    """Lays out a question as a raw prompt: where given, the server is asked by raw prompts.
    It must show the question and the manner's system message as the model expects them."""
    found: Capabilities | None = None
    """What the server is known to do; it is asked where None."""
    patience: Patience = field(default_factory=Patience)
    key: str = field(default_factory=key_of, repr=False)
    rng: random.Random = field(default_factory=random.Random, repr=False)
    """Decides how long to wait between attempts, and nothing of what is written."""
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    probing: Cost = field(default_factory=Cost)
    """What finding out took; in no run's cost."""
    _outcomes: queue.SimpleQueue[tuple[Work | None, RequestOutcome]] = field(
        default_factory=queue.SimpleQueue, repr=False
    )
    _pending: dict[str, Work | None] = field(default_factory=dict, repr=False)
    """By key: what is on its way, or its outcome is at once known."""
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict, repr=False)
    """By identity of the work; touched by the loop alone."""
    _prompts: dict[tuple[str, str, str], int] = field(default_factory=dict, repr=False)
    """By run, question and beginning: tokens, as the server counts them."""

    def __post_init__(self) -> None:
        self.key = checked_key(self.key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    @property
    def abilities(self) -> frozenset[Ability]:
        """What the server can do; asked the first time. RemoteError where it is out of reach."""
        able = self.able
        found: list[Ability] = []
        if able.continues:
            found.append("steps")
        if able.logprobs:
            found.append("log-probabilities")
        if able.top:
            found.append("verdicts")
        return frozenset(found)

    @property
    def able(self) -> Capabilities:
        """What the server does, in detail; asked the first time."""
        if self.found is None:
            probe = Probe(self._api, self.raw, partial(price_of, self.prices))
            try:
                self.found = self._await(probe.run())
            finally:
                self.probing = self.probing.plus(probe.spent)
        return self.found

    @property
    def model(self) -> str:
        """The model's name; asked where the address does not tell."""
        if self.found is not None:
            return self.found.model
        return self.endpoint.model or self._await(first_model(self._api))

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """Raise UsageError for FLOPs, and for dollars without a price; nothing is spent."""
        if "flops" in kinds:
            raise UsageError(
                "a budget in FLOPs cannot be held on a server, which does not tell of them",
                "give it in tokens, seconds or dollars",
            )
        if "usd" in kinds and price_of(self.prices, self.model) is None:
            raise UsageError(
                f"a budget in dollars cannot be held: the price of {self.model} is not known",
                "give its price with --price, or a budget in tokens",
            )

    def now(self) -> float:
        """What the clock shows."""
        return self.clock()

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """Prompts count as the server counted them before, or as one token for each byte."""
        return [self._bound(request) for request in requests]

    def submit(self, request: Request | VerdictRequest) -> None:
        """Send a request."""
        match request:
            case VerdictRequest():
                work: Work = VerdictCall(request, self._line)
            case Request():
                if request.parent.text and not self.able.continues:
                    self._pending[request.key] = None
                    self._outcomes.put((None, self._unwritten(request)))
                    return
                work = Completion(request, self._line, self._prompt_about(request))
        self._pending[request.key] = work
        self._loop.call_soon_threadsafe(self._begin, work)

    def poll(self, until: float | None = None) -> list[RequestOutcome]:
        """Wait for outcomes."""
        found: list[RequestOutcome] = []
        while self._pending and not found:
            left = None if until is None else max(0.0, until - self.clock())
            try:
                found += self._known(*self._outcomes.get(timeout=left))
            except queue.Empty:
                break
        while not self._outcomes.empty():
            found += self._known(*self._outcomes.get())
        return found

    def cancel(self, key: str) -> None:
        """Close a piece's connection; what it has so far is its outcome.

        Verdicts are a token each, and a search can go on from all or none: they are let come.
        """
        work = self._pending.get(key)
        if work is not None and work.divides:
            self._loop.call_soon_threadsafe(self._end, work)

    def release(self, run: str) -> None:
        """Forget a run; what is still on its way for it is ended."""
        for key, work in list(self._pending.items()):
            if work is not None and work.request.run == run:
                del self._pending[key]
                self._loop.call_soon_threadsafe(self._end, work)
        self._prompts = {where: size for where, size in self._prompts.items() if where[0] != run}

    def close(self) -> None:
        """End all that is on its way, and all connections."""
        if "_loop" not in self.__dict__ or sys.is_finalizing():
            return  # a thread that the interpreter's end has stopped answers nobody
        self._await(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        del self._loop

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, daemon=True)
        self._thread.start()
        return loop

    @cached_property
    def _api(self) -> Api:
        return Api(self.endpoint, self.key, self.patience, self.rng, self.sleep, self.clock)

    @cached_property
    def _line(self) -> Connection:
        able = self.able
        price = price_of(self.prices, able.model)
        return Connection(self._api, able, self.manner, price, self.raw or _as_it_is)

    def _await(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _begin(self, work: Work) -> None:
        task = self._loop.create_task(work.run())
        self._tasks[id(work)] = task
        task.add_done_callback(partial(self._ended, work))

    def _end(self, work: Work) -> None:
        if task := self._tasks.get(id(work)):
            task.cancel()

    def _ended(self, work: Work, task: asyncio.Task[None]) -> None:
        del self._tasks[id(work)]
        if task.cancelled():
            outcome = work.cancelled()
        elif error := task.exception():
            outcome = work.failed(error)
        else:
            outcome = work.done()
        self._outcomes.put((work, replace(outcome, lost=work.lost)))

    def _known(self, work: Work | None, outcome: RequestOutcome) -> list[RequestOutcome]:
        """The outcome, unless its run was released."""
        if self._pending.get(outcome.key, self) is not work:
            return []
        del self._pending[outcome.key]
        if isinstance(work, Completion) and work.heard.usage:
            where = (work.request.run, *work.prompt)
            self._prompts[where] = outcome.cost.prompt_tokens + outcome.cost.cached_tokens
        return [outcome]

    async def _shut(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if "_api" in self.__dict__:
            await self._api.close()
        # Connections that were closed early leave their readers to be ended by the loop.
        await self._loop.shutdown_asyncgens()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def _bound(self, request: Request | VerdictRequest) -> CostBound:
        price = self._line.price
        match request:
            case VerdictRequest():
                count = len(request.questions)
                prompt = sum(map(self._line.prompt_at_most, request.questions))
                replies = count * reply_tokens(self._line.able)
                once = replace(cost_of(price, prompt, 0, replies), output_tokens=0)
            case Request():
                once = cost_of(price, self._prompt_at_most(request), 0, 0)
        return CostBound(once, cost_of(price, 0, 0, 1))

    def _prompt_at_most(self, request: Request) -> int:
        return self._known_prompt(request) or self._line.prompt_at_most(*prompt_of(request))

    def _prompt_about(self, request: Request) -> int:
        return self._known_prompt(request) or self._line.prompt_about(*prompt_of(request))

    def _known_prompt(self, request: Request) -> int:
        """As the server counted it before; 0 where it did not."""
        return self._prompts.get((request.run, *prompt_of(request)), 0)

    def _unwritten(self, request: Request) -> RequestOutcome:
        """Where the server cannot go on from a beginning: what becomes of who would have to."""
        if request.path == request.parent.path:
            # Its lease was short, and the rest cannot be asked for: the budget ends it.
            return RequestOutcome(request.key, Cost(), Piece("", (), 0, 0.0, "cancelled"))
        error = UsageError(
            f"{self.endpoint.base} does not go on from the beginning of an answer",
            "use a model that runs here, or another strategy",
        )
        return RequestOutcome(request.key, Cost(), error=error)


def _as_it_is(question: str) -> str:
    return question
