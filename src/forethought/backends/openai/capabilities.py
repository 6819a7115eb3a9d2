"""Probes the capabilities of an OpenAI-compatible server with a few requests of about a token
each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from forethought.backends.openai.api import Api
from forethought.backends.openai.connection import Connection
from forethought.backends.openai.errors import RefusedError
from forethought.backends.openai.protocol import (
    Body,
    Capabilities,
    CompletionParams,
    RawFields,
    Stops,
    text_fields,
)
from forethought.backends.openai.shape import ShapeError, list_of, object_of, text_of
from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.contracts.errors import RemoteError
from forethought.contracts.records import Cost
from forethought.cost.prices import Price, cost_of

GREETING = "Hi"
LETTER = "A"
"""A prefix of one token in every tokenizer."""
COUNTING = "Count from one to ten in English words, each in a paragraph of its own."
COUNTED, NEXT = "one\n\ntwo\n\nthree", "\n\nfour"
"""A prefix that ends between tokens, and its continuation, which no fresh answer starts with."""
COUNTED_SPACED = "one\n\ntwo\n\nthree\n\n"
_STOPS = ["e", " ", "a", "\n"]
"""Stop strings that any text soon contains."""
_TOPS = (20, 5)
_UNKNOWN = 256
"""Assumed tokens of a chat template, where the server counts no prompt."""
_NAME = 1000
"""Most characters of a model's name."""


async def first_model(api: Api) -> str:
    """The model that the address names, else the first that the server lists."""
    if api.endpoint.model:
        return api.endpoint.model
    found = await api.with_retries(lambda: api.get("/models"))
    try:
        models = [object_of(one) for one in list_of(object_of(found).get("data"))]
        name = text_of(models[0].get("id")) if models else ""
    except ShapeError:
        name = ""
    if not name or len(name) > _NAME or not name.isprintable():
        raise RemoteError(
            f"{api.endpoint.base} lists no model", "append the model's name to the address: #model"
        )
    return name


@dataclass
class Probe:
    """A probe of one server, and its cost."""

    api: Api
    raw: RawFields | None
    """The fields of raw requests; where given, only raw prompts are probed."""
    price: Callable[[str], Price | None]
    spent: Cost = field(default_factory=Cost)
    _letter_tokens: int = 0
    """Tokens of a prompt that ends with LETTER; 0 where the server does not count them."""

    async def run(self) -> Capabilities:
        """Probe all capabilities; RemoteError where no request succeeds."""
        capabilities = await self._basics(Capabilities(model=await first_model(self.api)))
        capabilities = await self._logprobs(capabilities)
        return await self._continuation(capabilities)

    async def _basics(self, capabilities: Capabilities) -> Capabilities:
        """Find an accepted request format: prompt kind, name of the token limit, usage option."""
        error: RefusedError | None = None
        for plain in [replace(capabilities, chat=chat) for chat in self._prompt_formats()]:
            for candidate in (
                plain,
                replace(plain, limit="max_completion_tokens"),
                replace(plain, usage=False),
            ):
                try:
                    reply = await self._ask(candidate, self._greeting(candidate))
                except RefusedError as refused:
                    error = error or refused
                else:
                    overhead = sum(reply.prompt_tokens(0)) or await self._overhead(candidate)
                    return replace(candidate, overhead=overhead, served=reply.served)
        assert error is not None
        raise error

    async def _overhead(self, capabilities: Capabilities) -> int:
        """Prompt tokens of the greeting, from a server that sends no usage in streams."""
        body = {**self._greeting(capabilities), "stream": False}
        body.pop("stream_options", None)
        reply = await self._try_asking(capabilities, body)
        return (sum(reply.prompt_tokens(0)) if reply else 0) or _UNKNOWN

    def _prompt_formats(self) -> tuple[bool, ...]:
        """Values of `chat` to try: messages first, unless raw prompts are given."""
        return (False,) if self.raw else (True, False)

    def _greeting(self, capabilities: Capabilities) -> Body:
        return capabilities.body(GREETING, "", 1, CompletionParams(), self._raw_fields)

    async def _logprobs(self, capabilities: Capabilities) -> Capabilities:
        """Probe log-probabilities, and the number of alternatives per token."""
        for top in _TOPS:
            asked = replace(capabilities, logprobs=True, top=top)
            body = asked.with_top(self._greeting(asked))
            reply = await self._try_asking(capabilities, body)
            if reply is not None and reply.scored_tokens:
                seen = max((len(one) for one in reply.top_logprobs), default=0)
                return replace(asked, top=top if seen > 1 else 0)
        # Some servers return log-probabilities of sampled tokens only.
        asked = replace(capabilities, logprobs=True)
        reply = await self._try_asking(capabilities, self._greeting(asked))
        return asked if reply is not None and reply.scored_tokens else capabilities

    async def _continuation(self, capabilities: Capabilities) -> Capabilities:
        """Probe whether prefixes can be continued, and how stop strings are reported."""
        if capabilities.chat and not await self._continues(capabilities):
            return capabilities
        capabilities = replace(capabilities, continues=True, stops=await self._stops(capabilities))
        return (
            replace(capabilities, trims=await self._trims(capabilities))
            if capabilities.chat
            else capabilities
        )

    async def _continues(self, capabilities: Capabilities) -> bool:
        """Whether the server continues a prefix: by its prompt counts, else by its text.

        A message that is continued lacks its end-of-turn tokens, so its prompt is shorter than the
        prompt of the same message in finished form.
        """
        begun = capabilities.body(GREETING, LETTER, 1, CompletionParams(), self._raw_fields)
        counted = await self._prompt_tokens(capabilities, begun)
        if counted is None:
            return False
        self._letter_tokens = counted
        closed = await self._prompt_tokens(capabilities, {**begun, "continue_final_message": False})
        if closed and 0 < counted < closed:
            return True
        body = capabilities.body(COUNTING, COUNTED, 6, CompletionParams(), self._raw_fields)
        reply = await self._try_asking(capabilities, {**body, "temperature": 0.0})
        return reply is not None and reply.text.startswith(NEXT)

    async def _stops(self, capabilities: Capabilities) -> Stops:
        """How the server reports the stop string that ended an answer."""
        kept = {"stop": _STOPS, "include_stop_str_in_output": True}
        body = {
            **capabilities.body(COUNTING, "", 4, CompletionParams(), self._raw_fields),
            **kept,
            "temperature": 0.0,
        }
        reply = await self._try_asking(capabilities, body)
        if reply is None or reply.finish != "stop":
            return "watched"
        if reply.text.endswith(tuple(_STOPS)):
            return "kept"
        return "told" if reply.matched_stop in _STOPS else "watched"

    async def _trims(self, capabilities: Capabilities) -> bool:
        """Whether the server strips a prefix's trailing whitespace: by counts, else by its text."""
        spaced = capabilities.body(
            GREETING, LETTER + "\n\n", 1, CompletionParams(), self._raw_fields
        )
        if self._letter_tokens and (counted := await self._prompt_tokens(capabilities, spaced)):
            return counted == self._letter_tokens
        body = capabilities.body(COUNTING, COUNTED_SPACED, 1, CompletionParams(), self._raw_fields)
        reply = await self._try_asking(capabilities, {**body, "temperature": 0.0})
        return reply is not None and reply.text[:1].isspace()

    async def _prompt_tokens(self, capabilities: Capabilities, body: Body) -> int | None:
        """Prompt tokens as the server counts them, 0 without a count; None if refused."""
        reply = await self._try_asking(capabilities, body)
        return None if reply is None else sum(reply.prompt_tokens(0))

    async def _try_asking(self, capabilities: Capabilities, body: Body) -> StreamedReply | None:
        """The reply; None where the server refuses this kind of request."""
        try:
            return await self._ask(capabilities, body)
        except RefusedError:
            return None

    async def _ask(self, capabilities: Capabilities, body: Body) -> StreamedReply:
        price = self.price(capabilities.model)
        connection = Connection(self.api, capabilities, CompletionParams(), price, self._raw_fields)
        found: list[StreamedReply] = []

        async def attempt() -> None:
            found.append(StreamedReply())
            await connection.receive(body, found[-1], lambda: False)

        await self.api.with_retries(attempt)
        reply = found[-1]
        prompt, cached = reply.prompt_tokens(0)
        tokens = reply.output_tokens(int(body[capabilities.limit]))
        self.spent = self.spent.plus(cost_of(connection.price, prompt, cached, tokens))
        return reply

    @property
    def _raw_fields(self) -> RawFields:
        return self.raw or text_fields(None)
