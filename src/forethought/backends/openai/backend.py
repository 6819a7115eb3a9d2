"""An OpenAI-compatible server as a back end: vLLM, SGLang, llama.cpp, Ollama or a vendor's API.

Each piece is its own request with its own seed, so its text does not depend on other requests. The
parameter `n` would share one seed among several answers. Tokens are counted by the server; token
ids are unknown.
"""

from __future__ import annotations

import asyncio
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from forethought.backends.openai.answer_stream import AnswerStream
from forethought.backends.openai.api import Api
from forethought.backends.openai.api_keys import checked_key, key_of
from forethought.backends.openai.capabilities import Probe, first_model
from forethought.backends.openai.completions import Completion
from forethought.backends.openai.connection import Connection
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.backends.openai.pool import Member, Pool
from forethought.backends.openai.protocol import (
    Capabilities,
    CompletionParams,
    Raw,
    RawFields,
    prompt_of,
    text_fields,
)
from forethought.backends.openai.remote_run import RemoteRun
from forethought.backends.openai.retries import Retries, Sleep
from forethought.backends.openai.token_ids import takes_ids
from forethought.backends.openai.verdicts import VerdictCall, reply_tokens
from forethought.contracts.backend import (
    BackendEvent,
    CostBound,
    PromptReady,
    Request,
    RequestOutcome,
    TokenDelta,
    VerdictRequest,
)
from forethought.contracts.errors import UsageError
from forethought.contracts.records import Cost, LimitKind
from forethought.contracts.search import Ability, Piece
from forethought.cost.prices import Price, cost_of, price_of

if TYPE_CHECKING:
    from forethought.backends.openai.compression import Compression, SharedPrompt

Found = TypeVar("Found")
Work = Completion | VerdictCall


@dataclass
class OpenAIBackend:
    """A model on a server. Close it, or use it as a context manager."""

    endpoint: Endpoint
    params: CompletionParams = field(default_factory=CompletionParams)
    prices: Mapping[str, Price] = field(default_factory=dict)
    """Prices by model name; the key "" is the price of all other models."""
    raw: Raw | None = None
    """Formats a question as a raw prompt; where given, the server gets raw prompts only. The prompt
    must include the system message of `params`."""
    known_capabilities: Capabilities | None = None
    """The server's capabilities; probed on first use where None."""
    replicas: tuple[Endpoint, ...] = ()
    """Further endpoints of the model; requests are spread over all, and survive a loss."""
    compression: Compression | None = None
    """Shortens prompts before they are sent."""
    probed: dict[Endpoint, Capabilities] = field(default_factory=dict)
    """Capabilities by endpoint, shared by back ends that probe in the same way."""
    patience: Patience = field(default_factory=Patience)
    key: str = field(default_factory=key_of, repr=False)
    rng: random.Random = field(default_factory=random.Random, repr=False)
    """Jitters the waits between attempts; it does not affect sampling."""
    sleep: Sleep = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    probing: Cost = field(default_factory=Cost)
    """Cost of the probe, which no run is charged for."""
    runs: dict[str, RemoteRun] = field(default_factory=dict)
    """By name: runs with settings of their own; all others have those above."""
    _outcomes: queue.SimpleQueue[tuple[Work | None, BackendEvent]] = field(
        default_factory=queue.SimpleQueue, repr=False
    )
    _pending: dict[str, Work | None] = field(default_factory=dict, repr=False)
    """By request key: work in flight, or None where the outcome is already queued."""
    _tasks: dict[int, asyncio.Task[None]] = field(default_factory=dict, repr=False)
    """By identity of the work; only the event loop touches it."""
    _prompts: dict[tuple[str, str, str], int] = field(default_factory=dict, repr=False)
    """By run, question and prefix: prompt tokens, as the server counted them."""
    _shared: dict[tuple[str, str], SharedPrompt] = field(default_factory=dict, repr=False)
    """By run, and its question if that is not the run's own: the prompts to shorten."""

    def __post_init__(self) -> None:
        self.key = checked_key(self.key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    @property
    def abilities(self) -> frozenset[Ability]:
        """The abilities that strategies ask for. RemoteError if the server is unreachable."""
        capabilities = self.capabilities
        found: list[Ability] = []
        if capabilities.continues:
            found.append("steps")
        if capabilities.logprobs:
            found.append("log-probabilities")
        if capabilities.top:
            found.append("verdicts")
        return frozenset(found)

    @property
    def capabilities(self) -> Capabilities:
        """The server's capabilities, probed on first use."""
        if self.known_capabilities is None:
            self.known_capabilities = self._await(self._pool.open())
        return self.known_capabilities

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints of the model."""
        return (self.endpoint, *self.replicas)

    @property
    def model(self) -> str:
        """The model's name; asked from the server if the address has none."""
        if self.known_capabilities is not None:
            return self.known_capabilities.model
        return self.endpoint.model or self._await(self._pool.first_model())

    def check_limits(self, kinds: Collection[LimitKind]) -> None:
        """Raise UsageError for a budget in FLOPs, or in dollars without a price.

        Sends no completion request.
        """
        if "flops" in kinds:
            raise UsageError(
                "a budget in FLOPs cannot be held on a server, which reports none",
                "give the budget in tokens, seconds or dollars",
            )
        if "usd" in kinds and price_of(self.prices, self.model) is None:
            raise UsageError(
                f"a budget in dollars cannot be held: the price of {self.model} is not known",
                "give the budget in tokens, or state its price with --price",
            )

    def now(self) -> float:
        """The clock's time in seconds."""
        return self.clock()

    def bounds(self, requests: Sequence[Request | VerdictRequest]) -> list[CostBound]:
        """Upper bounds of costs: prompts as the server counted them, else one token per byte."""
        return [self._bound(request) for request in requests]

    def submit(self, request: Request | VerdictRequest) -> None:
        """Send a request."""
        match request:
            case VerdictRequest():
                work: Work = VerdictCall(request, self._connection)
            case Request():
                if request.parent.text and not self.capabilities.continues:
                    self._pending[request.key] = None
                    self._outcomes.put((None, self._cannot_continue(request)))
                    return
                work = self._completion(request)
        self._pending[request.key] = work
        self._loop.call_soon_threadsafe(self._start, work)

    def poll(self, until: float | None = None) -> list[BackendEvent]:
        """Wait until an outcome arrives or the clock reaches `until`."""
        found: list[BackendEvent] = []
        while self._pending and not found:
            left = None if until is None else max(0.0, until - self.clock())
            try:
                found += self._accept(*self._outcomes.get(timeout=left))
            except queue.Empty:
                break
        while not self._outcomes.empty():
            found += self._accept(*self._outcomes.get())
        return found

    def cancel(self, key: str) -> None:
        """Close a piece's connection; its outcome is the text so far.

        Verdicts run to their end: each is one token, and a search needs all of them.
        """
        work = self._pending.get(key)
        if work is not None and work.divides:
            self._loop.call_soon_threadsafe(self._cancel, work)

    def release(self, run: str) -> None:
        """Cancel a run's requests and drop its data."""
        for key, work in list(self._pending.items()):
            if work is not None and work.request.run == run:
                del self._pending[key]
                self._loop.call_soon_threadsafe(self._cancel, work)
        self.runs.pop(run, None)
        self._prompts = {where: size for where, size in self._prompts.items() if where[0] != run}
        self._shared = {where: one for where, one in self._shared.items() if where[0] != run}
        if "_pool" in self.__dict__:
            self._loop.call_soon_threadsafe(self._pool.forget, run)

    def close(self) -> None:
        """Cancel all requests and close all connections."""
        if "_loop" not in self.__dict__ or sys.is_finalizing():
            return  # at interpreter exit the loop's thread has stopped and never answers
        self._await(self._shutdown())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        del self._loop
        if "_drafts" in self.__dict__:
            self._drafts.shutdown()

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, daemon=True)
        self._thread.start()
        return loop

    @cached_property
    def _drafts(self) -> ThreadPoolExecutor:
        """The thread that shortens prompts, one after the other."""
        return ThreadPoolExecutor(1, "drafts")

    @cached_property
    def _pool(self) -> Pool:
        retries = Retries(self.patience, self.rng, self.sleep)
        members = [Member(self._api(one), self.probed.get(one)) for one in self.endpoints]
        return Pool(members, retries, self._probe, self.clock)

    def _api(self, place: Endpoint) -> Api:
        return Api(place, self.key, self.patience, self.rng, self.sleep, self.clock)

    async def _probe(self, api: Api) -> Capabilities:
        """Probe an endpoint."""
        ids = False
        if self.compression is not None:
            ids = await takes_ids(api, await first_model(api), self.compression.tokens)
        raw = self._raw_fields(ids=ids) if ids or self.raw else None
        probe = Probe(api, raw, partial(price_of, self.prices))
        try:
            found = replace(await probe.run(), ids=ids)
        finally:
            self.probing = self.probing.plus(probe.spent)
        self.probed[api.endpoint] = found
        return found

    def _raw_fields(self, *, ids: bool) -> RawFields:
        if ids and self.compression is not None:
            return self.compression.tokens.fields
        return text_fields(self.raw)

    @cached_property
    def _connection(self) -> Connection:
        """The connection to all endpoints."""
        capabilities, api = self.capabilities, self._pool.members[0].api
        price, raw = (
            price_of(self.prices, capabilities.model),
            self._raw_fields(ids=capabilities.ids),
        )
        self._pool.common = Connection(api, capabilities, self.params, price, raw)
        return self._pool.common

    def _await(self, work: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _start(self, work: Work) -> None:
        task = self._loop.create_task(work.run(self._pool))
        self._tasks[id(work)] = task
        task.add_done_callback(partial(self._finish, work))

    def _cancel(self, work: Work) -> None:
        if task := self._tasks.get(id(work)):
            task.cancel()

    def _finish(self, work: Work, task: asyncio.Task[None]) -> None:
        del self._tasks[id(work)]
        if task.cancelled():
            outcome = work.cancelled()
        elif error := task.exception():
            outcome = work.failed(error)
        else:
            outcome = work.done()
        self._outcomes.put((work, replace(outcome, lost=work.lost)))

    def _accept(self, work: Work | None, outcome: BackendEvent) -> list[BackendEvent]:
        """The outcome or event, unless its run was released."""
        if self._pending.get(outcome.key, self) is not work:
            return []
        if not isinstance(outcome, RequestOutcome):
            return [outcome]
        del self._pending[outcome.key]
        if isinstance(work, Completion) and work.reply.usage:
            where = (work.request.run, *work.prompt)
            self._prompts[where] = outcome.cost.prompt_tokens + outcome.cost.cached_tokens
        return [outcome]

    async def _shutdown(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if "_pool" in self.__dict__:
            await self._pool.close()
        # Connections that were closed early leave async generators behind.
        await self._loop.shutdown_asyncgens()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def _bound(self, request: Request | VerdictRequest) -> CostBound:
        price = self._connection.price
        match request:
            case VerdictRequest():
                count = len(request.questions)
                prompt = sum(map(self._connection.max_prompt_tokens, request.questions))
                replies = count * reply_tokens(self._connection.capabilities)
                once = replace(cost_of(price, prompt, 0, replies), output_tokens=0)
            case Request():
                once = cost_of(price, self._max_prompt_tokens(request), 0, 0)
        return CostBound(once, cost_of(price, 0, 0, 1))

    def _max_prompt_tokens(self, request: Request) -> int:
        if known := self._known_prompt(request):
            return known
        question, prefix = prompt_of(request)
        if (shared := self._shared_prompt(request)) is None:
            return self._connection_of(request).max_prompt_tokens(question, prefix)
        if self._connection.capabilities.ids:
            return shared.most_tokens + len(prefix.encode("utf-8", "surrogatepass"))
        return self._connection.max_prompt_tokens("", prefix) + shared.most_bytes

    def _completion(self, request: Request) -> Completion:
        shared, estimated = self._shared_prompt(request), self._known_prompt(request)
        connection, run = self._connection_of(request), self._run(request)
        work = Completion(request, connection, estimated, shared)
        if shared is None and not estimated:
            work.estimated_prompt_tokens = connection.estimated_prompt_tokens(*work.prompt)

        def tell(event: PromptReady | TokenDelta) -> None:
            self._outcomes.put((work, event))

        work.tell = tell
        if run.streams:
            work.stream = AnswerStream(request.key, run.params.stop, tell)
        return work

    def _run(self, request: Request) -> RemoteRun:
        """The settings of a request's run."""
        return self.runs.get(request.run) or RemoteRun(self.params, self.compression)

    def _connection_of(self, request: Request) -> Connection:
        """The connection with the parameters of a request's run."""
        return replace(self._connection, params=self._run(request).params)

    def _shared_prompt(self, request: Request) -> SharedPrompt | None:
        """The prompt to shorten for a request; None without compression."""
        compression = self._run(request).compression
        if compression is None:
            return None
        own = not request.parent.question
        where = request.run, request.parent.question
        if where not in self._shared:
            question = request.question.text if own else request.parent.question
            document = request.question.document if own else ""
            self._shared[where] = compression.shared(question, document, self._drafts)
        return self._shared[where]

    def _known_prompt(self, request: Request) -> int:
        """Prompt tokens as the server counted them before; 0 if it did not."""
        return self._prompts.get((request.run, *prompt_of(request)), 0)

    def _cannot_continue(self, request: Request) -> RequestOutcome:
        """The outcome of a request that needs a continuation where the server has none."""
        if request.path == request.parent.path:
            # The lease ended in mid-candidate: the candidate ends as its budget would end it.
            return RequestOutcome(request.key, Cost(), Piece("", (), 0, 0.0, "cancelled"))
        error = UsageError(
            f"{self.endpoint.base} cannot continue the beginning of an answer",
            "use a local model, or another strategy",
        )
        return RequestOutcome(request.key, Cost(), error=error)
