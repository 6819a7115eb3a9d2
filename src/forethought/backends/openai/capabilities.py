"""Finds out what a server of the OpenAI kind does, by a few requests of a token or so each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from forethought.backends.openai.api import Api
from forethought.backends.openai.completions import Connection
from forethought.backends.openai.errors import RefusedError
from forethought.backends.openai.protocol import (
    Body,
    Capabilities,
    CompletionParams,
    Price,
    Raw,
    Stops,
    cost_of,
)
from forethought.backends.openai.shape import ShapeError, list_of, object_of, text_of
from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.contracts.errors import RemoteError
from forethought.contracts.records import Cost

GREETING = "Hi"
LETTER = "A"
"""A beginning of one token, whatever the tokenizer."""
COUNTING = "Count from one to ten in English words, each in a paragraph of its own."
BEGUN, THEN = "one\n\ntwo\n\nthree", "\n\nfour"
"""Broken between tokens: who starts anew never begins with an empty line and the next number."""
WHOLE = "one\n\ntwo\n\nthree\n\n"
_STOPS = ["e", " ", "a", "\n"]
"""One of these comes soon, whatever is written."""
_TOPS = (20, 5)
_UNKNOWN = 256
"""Tokens of a template, where no prompt is counted."""
_NAME = 1000
"""Letters of a model's name."""


async def first_model(api: Api) -> str:
    """The name that the endpoint gives, or the first model that the server has."""
    if api.endpoint.model:
        return api.endpoint.model
    found = await api.patiently(lambda: api.get("/models"))
    try:
        models = [object_of(one) for one in list_of(object_of(found).get("data"))]
        name = text_of(models[0].get("id")) if models else ""
    except ShapeError:
        name = ""
    if not name or len(name) > _NAME or not name.isprintable():
        raise RemoteError(
            f"{api.endpoint.base} names no model", "put its name behind the address: #model"
        )
    return name


@dataclass
class Probe:
    """What is found out, and what that took."""

    api: Api
    raw: Raw | None
    """Lays out raw prompts; where given, the server is asked by these alone."""
    price: Callable[[str], Price | None]
    spent: Cost = field(default_factory=Cost)
    _begun: int = 0
    """Tokens of a prompt that ends with LETTER; 0 where they are not counted."""

    async def run(self) -> Capabilities:
        """Ask; RemoteError where the server answers nothing at all."""
        able = await self._basics(Capabilities(model=await first_model(self.api)))
        able = await self._chances(able)
        return await self._beginnings(able)

    async def _basics(self, able: Capabilities) -> Capabilities:
        """How it wants to be asked."""
        error: RefusedError | None = None
        for plain in [replace(able, chat=chat) for chat in self._ways()]:
            for known in (
                plain,
                replace(plain, limit="max_completion_tokens"),
                replace(plain, usage=False),
            ):
                try:
                    heard = await self._heard(known, self._greeting(known))
                except RefusedError as refused:
                    error = error or refused
                else:
                    overhead = sum(heard.prompt(0)) or await self._counted(known)
                    return replace(known, overhead=overhead, served=heard.served)
        assert error is not None
        raise error

    async def _counted(self, able: Capabilities) -> int:
        """Tokens of a short prompt, from a server that counts none in answers it streams."""
        body = {**self._greeting(able), "stream": False}
        body.pop("stream_options", None)
        heard = await self._answered(able, body)
        return (sum(heard.prompt(0)) if heard else 0) or _UNKNOWN

    def _ways(self) -> tuple[bool, ...]:
        """By messages, by raw prompts, or as it turns out."""
        return (False,) if self.raw else (True, False)

    def _greeting(self, able: Capabilities) -> Body:
        return able.body(GREETING, "", 1, CompletionParams(), self._lay)

    async def _chances(self, able: Capabilities) -> Capabilities:
        """Whether it tells of log-probabilities, and of how many tokens at one place."""
        for top in _TOPS:
            asked = replace(able, logprobs=True, top=top)
            body = asked.with_top(self._greeting(asked))
            heard = await self._answered(able, body)
            if heard is not None and heard.entries:
                seen = max((len(one) for one in heard.tops), default=0)
                return replace(asked, top=top if seen > 1 else 0)
        # Some tell of the tokens they wrote, and of no others.
        asked = replace(able, logprobs=True)
        heard = await self._answered(able, self._greeting(asked))
        return asked if heard is not None and heard.entries else able

    async def _beginnings(self, able: Capabilities) -> Capabilities:
        """Whether it goes on from a beginning, and how it tells of a step's end."""
        if able.chat and not await self._continues(able):
            return able
        able = replace(able, continues=True, stops=await self._stops(able))
        return replace(able, trims=await self._trims(able)) if able.chat else able

    async def _continues(self, able: Capabilities) -> bool:
        """Whether it goes on from a beginning: what it counts decides, else what it writes.

        A beginning that is gone on from is not closed, so that its prompt has fewer tokens than
        one that holds the same message as a whole.
        """
        begun = able.body(GREETING, LETTER, 1, CompletionParams(), self._lay)
        counted = await self._counts(able, begun)
        if counted is None:
            return False
        self._begun = counted
        closed = await self._counts(able, {**begun, "continue_final_message": False})
        if closed and 0 < counted < closed:
            return True
        body = able.body(COUNTING, BEGUN, 6, CompletionParams(), self._lay)
        heard = await self._answered(able, {**body, "temperature": 0.0})
        return heard is not None and heard.text.startswith(THEN)

    async def _stops(self, able: Capabilities) -> Stops:
        """How it tells which text it stopped at."""
        kept = {"stop": _STOPS, "include_stop_str_in_output": True}
        body = {
            **able.body(COUNTING, "", 4, CompletionParams(), self._lay),
            **kept,
            "temperature": 0.0,
        }
        heard = await self._answered(able, body)
        if heard is None or heard.finish != "stop":
            return "heard"
        if heard.text.endswith(tuple(_STOPS)):
            return "kept"
        return "told" if heard.matched in _STOPS else "heard"

    async def _trims(self, able: Capabilities) -> bool:
        """Whether it drops the spaces that a beginning ends with: again by what it counts."""
        spaced = able.body(GREETING, LETTER + "\n\n", 1, CompletionParams(), self._lay)
        if self._begun and (counted := await self._counts(able, spaced)):
            return counted == self._begun
        body = able.body(COUNTING, WHOLE, 1, CompletionParams(), self._lay)
        heard = await self._answered(able, {**body, "temperature": 0.0})
        return heard is not None and heard.text[:1].isspace()

    async def _counts(self, able: Capabilities, body: Body) -> int | None:
        """Tokens of a prompt as the server counts them, 0 where it does not; None if refused."""
        heard = await self._answered(able, body)
        return None if heard is None else sum(heard.prompt(0))

    async def _answered(self, able: Capabilities, body: Body) -> StreamedReply | None:
        """What is heard; None where the server refuses a request of this kind."""
        try:
            return await self._heard(able, body)
        except RefusedError:
            return None

    async def _heard(self, able: Capabilities, body: Body) -> StreamedReply:
        line = Connection(self.api, able, CompletionParams(), self.price(able.model), self._lay)
        found: list[StreamedReply] = []

        async def attempt() -> None:
            found.append(StreamedReply())
            await line.listen(body, found[-1], lambda: False)

        await self.api.patiently(attempt)
        heard = found[-1]
        prompt, cached = heard.prompt(0)
        tokens = heard.tokens(int(body[able.limit]))
        self.spent = self.spent.plus(cost_of(line.price, prompt, cached, tokens))
        return heard

    def _lay(self, question: str) -> str:
        return self.raw(question) if self.raw else question
