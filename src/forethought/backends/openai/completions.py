"""Pieces and verdicts on their way from a server, and what they are charged.

A request is charged once, however often it has to be sent: its prompt once, and every token of
its piece once. Attempts that were refused, or that broke off before a token came, cost nothing.
What came before a connection was lost stays where the server goes on from a beginning and tells
of every token, so that the next attempt asks for the rest alone; else the piece is asked for
anew. Where nothing comes of a request in the end, or it is cancelled, what is known to have been
written is charged. What a server is known to have done in vain besides is counted as `lost`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from forethought.backends.openai.api import Api
from forethought.backends.openai.errors import PassingError, SilentError
from forethought.backends.openai.finish_reasons import WITHHELD
from forethought.backends.openai.protocol import (
    Body,
    Capabilities,
    CompletionParams,
    Price,
    Raw,
    cost_of,
    prompt_of,
    request_seed,
)
from forethought.backends.openai.shape import ShapeError
from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.backends.openai.token_estimate import by_rule
from forethought.backends.stop_matcher import StopMatcher
from forethought.contracts.backend import Request, RequestOutcome
from forethought.contracts.errors import RemoteError
from forethought.contracts.records import Cost
from forethought.contracts.search import Piece

_HALF = "\ufffd"


@dataclass(frozen=True)
class Connection:
    """A server, what it does, and how it is asked."""

    api: Api
    able: Capabilities
    manner: CompletionParams
    price: Price | None
    raw: Raw

    def prompt_at_most(self, question: str, beginning: str = "") -> int:
        """Tokens of a prompt: no tokenizer makes more of a text than it has bytes."""
        texts = (question, beginning, self.manner.system or "")
        return self.able.overhead + sum(len(one.encode("utf-8", "surrogatepass")) for one in texts)

    def prompt_about(self, question: str, beginning: str = "") -> int:
        """Tokens of a prompt, where the server does not count them."""
        texts = (question, beginning, self.manner.system or "")
        return self.able.overhead + sum(map(by_rule, texts))

    async def listen(self, body: Body, heard: StreamedReply, enough: Callable[[], bool]) -> None:
        """Hear an answer until it ends, or it is enough; PassingError where it breaks off."""
        places, base = self.api.places, self.api.endpoint.base
        under, most = places.most, int(body[self.able.limit])

        def take(document: Mapping[str, Any]) -> bool:
            nonlocal under
            under = under if heard.begun else places.most
            heard.take(document)
            return enough() or heard.beyond(most)

        try:
            if await self.api.post(self.able.path, body, most, take) or heard.ended:
                return
            raise PassingError(f"{base} broke off an answer", "see the server's log")
        except ShapeError as error:
            raise RemoteError(
                f"{base} sent what is no answer: {error}",
                "check that it is the address of an OpenAI-compatible server",
            ) from None
        except PassingError as error:
            if heard.ended:
                return  # it was whole: only its counts may be missing
            if heard.begun or isinstance(error, SilentError):
                error.crowded = await places.fewer(under)
            raise


@dataclass
class Completion:
    """A piece on its way."""

    divides: ClassVar[bool] = True
    """Whether something can be made of a part of it."""
    request: Request
    line: Connection
    prompt_about: int
    """Tokens of its prompt, where the server does not tell."""
    text: str = ""
    """What earlier attempts left."""
    tokens: int = 0
    log_probability: float = 0.0
    scored_tokens: int = 0
    heard: StreamedReply = field(default_factory=StreamedReply)
    """What the newest attempt has."""
    prompts: int = 0
    """Earlier attempts for which the prompt is known to have been read."""
    wasted: int = 0
    """Most tokens that an attempt wrote of which nothing stayed."""
    lost_tokens: int = 0
    """What all such attempts wrote."""
    given_up: bool = False
    """Whether asking again could take more dollars than are left."""

    @property
    def prompt(self) -> tuple[str, str]:
        """What its prompt asks and what it goes on from."""
        return prompt_of(self.request)

    async def run(self) -> None:
        """Write the piece; RemoteError where that cannot be."""
        await self.line.api.patiently(self._attempt)

    def done(self) -> RequestOutcome:
        """What it came to."""
        if self.given_up:
            return self.cancelled()
        text, finish, back = self._cut()
        if finish in WITHHELD and not (self.request.parent.text + text).strip():
            return self.failed(self._withheld(finish))
        # Of a letter that was cut, servers send a mark in its place.
        kept = text.rstrip(_HALF) if finish == "length" else text
        tokens = self._written()
        piece = self._piece(kept, tokens, finish, back)
        return RequestOutcome(self.request.key, self._cost(tokens), piece)

    def cancelled(self) -> RequestOutcome:
        """What it has so far, as its outcome."""
        piece = self._piece(self._shown(), self._written(), "cancelled")
        return RequestOutcome(self.request.key, self._cost(piece.tokens), piece)

    def failed(self, error: BaseException) -> RequestOutcome:
        """What it took, though nothing came of it."""
        written = min(self.request.max_tokens, max(self._written(), self.tokens + self.wasted))
        failure = error if isinstance(error, Exception) else RemoteError(repr(error))
        return RequestOutcome(self.request.key, self._cost(written), error=failure)

    @property
    def lost(self) -> Cost:
        """What the server is known to have done in vain, or unasked; nobody is charged for it."""
        prompt, cached = self._prompt_tokens()
        again = self.prompts if self.heard.begun else max(0, self.prompts - 1)
        # What a server writes beyond what it was asked for cannot be held back either.
        left = self.request.max_tokens - self.tokens
        beyond = max(0, self.heard.tokens(left) - left)
        return cost_of(self.line.price, again * (prompt + cached), 0, self.lost_tokens + beyond)

    async def _attempt(self) -> None:
        self.heard = StreamedReply()
        if self.tokens >= self.request.max_tokens:
            return
        try:
            await self.line.listen(self._body(), self.heard, self._enough)
        except PassingError:
            self._keep()
            self.given_up = not self._affordable
            if not self.given_up:
                raise

    @property
    def _affordable(self) -> bool:
        """Whether what attempts took in vain can be paid beside the request's own lease."""
        prompts = self.prompts * sum(self._prompt_tokens())
        in_vain = cost_of(self.line.price, prompts, 0, self.lost_tokens).usd or 0.0
        return not in_vain or self.request.spare is None or in_vain <= self.request.spare

    def _keep(self) -> None:
        """Keep what came before a connection was lost, where the rest can be asked for."""
        heard, able = self.heard, self.line.able
        self.prompts += heard.begun
        if able.continues and able.logprobs and heard.entries and not heard.hidden:
            self.log_probability += heard.log_probability
            self.scored_tokens += heard.entries
            self.text, self.tokens = self._shown(), self._written()
        else:
            written = heard.tokens(self.request.max_tokens - self.tokens)
            self.wasted = max(self.wasted, written)
            self.lost_tokens += written
        self.heard = StreamedReply()

    def _body(self) -> Body:
        request, line = self.request, self.line
        question, beginning = self.prompt
        most = request.max_tokens - self.tokens
        body = line.able.body(question, beginning + self.text, most, line.manner, line.raw)
        place = replace(request.parent, tokens=request.parent.tokens + self.tokens)
        seed = request_seed(replace(request, parent=place))
        settings = line.manner.settings(request.temperature)
        return {
            **body,
            **settings,
            "seed": seed,
            **line.able.stopping(self._delimiter, line.manner),
        }

    @property
    def _delimiter(self) -> str | None:
        return self.request.delimiter if self.request.until == "step" else None

    def _enough(self) -> bool:
        """Whether what is heard ends the piece, though the server would go on."""
        able = self.line.able
        unsaid = self._delimiter is not None and (able.stops == "heard" or able.trims)
        # A server that goes on from a beginning sees no text that started there.
        watched = unsaid or bool(self.text)
        return watched and not self.heard.finish and self._cut()[1] in ("step", "stop")

    def _cut(self) -> tuple[str, str, int]:
        """The piece's text, how it ends, and how many letters before it a stop text takes too."""
        text, delimiter, step = self._shown(), self._delimiter, 0
        if delimiter is not None:
            if self.heard.finish == "stop" and self.heard.matched == delimiter:
                text += "" if text.endswith(delimiter) else delimiter
            step = text.find(delimiter) + len(delimiter) if delimiter in text else 0
        matcher = StopMatcher(self.line.manner.stop, keep=False, after=self.request.parent.text)
        shown = matcher.feed(text[: step or None])
        if matcher.stopped:
            return shown, "stop", matcher.back
        if step:
            return text[:step], "step", 0
        return text, self.heard.finish if self.heard.ended else "length", 0

    def _withheld(self, finish: str) -> RemoteError:
        """Why there is no answer, though the server ended it."""
        said = self.line.api.scrub.text(" ".join(self.heard.refusal.split()))[:300]
        return RemoteError(
            f"{self.line.api.endpoint.base}: {WITHHELD[finish].format('the answer')}, and nothing "
            f"of it came{': ' + said if said else ''}",
            "ask otherwise, or use another model",
        )

    def _shown(self) -> str:
        before = self.request.parent.text + self.text
        fresh = self.line.api.scrub.answer(self.heard.text)
        again = self.line.able.trims and before[-1:].isspace()
        return self.text + (fresh.lstrip() if again else fresh)

    def _written(self) -> int:
        left = self.request.max_tokens - self.tokens
        return self.tokens + min(left, self.heard.tokens(left))

    def _piece(self, text: str, tokens: int, finish: str, back: int = 0) -> Piece:
        chance = self.log_probability + self.heard.log_probability
        scored_tokens = self.scored_tokens + self.heard.entries
        return Piece(text, (), tokens, chance, finish, scored_tokens=scored_tokens, back=back)

    def _prompt_tokens(self) -> tuple[int, int]:
        """Those of the prompt alone, without what earlier attempts had written."""
        prompt, cached = self.heard.prompt(self.prompt_about + self.tokens)
        fresh = max(0, prompt - self.tokens)
        return fresh, max(0, cached - (self.tokens - (prompt - fresh)))

    def _cost(self, tokens: int) -> Cost:
        if not self.heard.begun and not self.prompts:
            return cost_of(self.line.price, 0, 0, 0)
        return cost_of(self.line.price, *self._prompt_tokens(), tokens)
