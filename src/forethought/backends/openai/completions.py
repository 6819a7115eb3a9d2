"""Completion requests to a server, and their cost.

Retries are free: each request is charged its prompt once and each output token once. Attempts that
are refused, or drop before their first token, cost nothing. If a connection drops, the text so far
is kept where the server continues prefixes and returns log-probabilities: the next attempt asks for
the rest. Otherwise the piece starts again.

Failed and cancelled requests are charged for the tokens known to be written. Other work that the
server did is counted as `lost`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from forethought.backends.openai.answer_stream import REPLACEMENT, AnswerStream
from forethought.backends.openai.connection import Connection
from forethought.backends.openai.errors import TransientError
from forethought.backends.openai.finish_reasons import WITHHELD
from forethought.backends.openai.pool import Pool
from forethought.backends.openai.protocol import Body, prompt_of, request_seed
from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.backends.openai.token_estimate import estimate_tokens
from forethought.backends.stop_matcher import StopMatcher
from forethought.contracts.backend import Opened, PromptReady, Request, RequestOutcome
from forethought.contracts.errors import RemoteError
from forethought.contracts.records import Cost, Kept
from forethought.contracts.search import Piece
from forethought.cost.prices import cost_of

if TYPE_CHECKING:
    from forethought.backends.openai.compression import SharedPrompt, ShortPrompt


def _silent(event: PromptReady) -> None:
    """Tell nobody."""


@dataclass
class Completion:
    """One completion request, over all of its attempts."""

    divides: ClassVar[bool] = True
    """Whether part of the reply is a useful outcome."""
    request: Request
    connection: Connection
    """The newest attempt's connection."""
    estimated_prompt_tokens: int
    """Prompt tokens, used where the server does not count them."""
    shared: SharedPrompt | None = None
    """The prompt to shorten first; None to send the question as it is."""
    short: ShortPrompt | None = None
    """The shortened prompt."""
    text: str = ""
    """Text kept from earlier attempts."""
    tokens: int = 0
    log_probability: float = 0.0
    scored_tokens: int = 0
    reply: StreamedReply = field(default_factory=StreamedReply)
    """The newest attempt's reply."""
    prompts: int = 0
    """Earlier attempts that are known to have prefilled the prompt."""
    wasted: int = 0
    """Most tokens written by an attempt of which no text was kept."""
    lost_tokens: int = 0
    """Tokens written by all such attempts."""
    out_of_budget: bool = False
    """Whether another attempt could cost more dollars than are left."""
    tell: Callable[[PromptReady], None] = _silent
    """Called once the prompt of the run's first request is shortened."""
    failed_at: list[str] = field(default_factory=list)
    """The addresses of failed attempts."""
    stream: AnswerStream | None = None
    """Shows the answer while it arrives; None for answers that do not stream."""

    @property
    def prompt(self) -> tuple[str, str]:
        """The question, and the prefix to continue."""
        return prompt_of(self.request)

    async def run(self, pool: Pool) -> None:
        """Stream the piece; RemoteError where that fails."""
        if self.shared is not None:
            self.short = await self.shared.ready()
            counted = len(self.short.prompt) + estimate_tokens(self.request.parent.text)
            self.estimated_prompt_tokens = self.estimated_prompt_tokens or counted
            if opened := self._opened:
                self.tell(PromptReady(self.request.key, opened, self.short.stages))
        await pool.with_retries(self._attempt, self.request.run, self.request.max_tokens)

    def done(self) -> RequestOutcome:
        """The outcome of a finished reply."""
        if self.out_of_budget:
            return self.cancelled()
        text, finish, back = self._ending()
        if finish in WITHHELD and not (self.request.parent.text + text).strip():
            return self.failed(self._withheld_error(finish))
        kept = text.rstrip(REPLACEMENT) if finish == "length" else text
        tokens = self._output_tokens()
        piece = self._piece(kept, tokens, finish, back)
        return RequestOutcome(self.request.key, self._cost(tokens), piece, opened=self._opened)

    def cancelled(self) -> RequestOutcome:
        """The outcome with the text so far."""
        piece = self._piece(self._text(), self._output_tokens(), "cancelled")
        return RequestOutcome(
            self.request.key, self._cost(piece.tokens), piece, opened=self._opened
        )

    def failed(self, error: BaseException) -> RequestOutcome:
        """The outcome of a failure, with its cost."""
        written = min(
            self.request.max_tokens, max(self._output_tokens(), self.tokens + self.wasted)
        )
        failure = error if isinstance(error, Exception) else RemoteError(repr(error))
        return RequestOutcome(self.request.key, self._cost(written), error=failure)

    @property
    def lost(self) -> Cost:
        """Work of the server that is charged to nobody: repeated prompts and dropped tokens."""
        prompt, cached = self._prompt_tokens()
        again = self.prompts if self.reply.started else max(0, self.prompts - 1)
        # Some servers write more tokens than the request allows.
        left = self.request.max_tokens - self.tokens
        beyond = max(0, self.reply.output_tokens(left) - left)
        return cost_of(
            self.connection.price, again * (prompt + cached), 0, self.lost_tokens + beyond
        )

    @property
    def _opened(self) -> Opened | None:
        """The result of shortening the prompt, for the request that pays for it, and notes."""
        notes = tuple(self._failures())
        if self.short is None or not self._pays_drafts:
            return Opened(0, Kept(0, 0, ()), notes) if notes else None
        opened, counted_by = self.short.opened, self.short.tokens.model.name
        how = "as token ids"
        if not self.connection.capabilities.ids:
            how = f"as text; kept tokens are those of {counted_by}"
        return replace(opened, notes=(*opened.notes, f"the prompt is sent {how}", *notes))

    def _failures(self) -> Iterator[str]:
        """Notes on the servers of a pool that failed before another one took the request."""
        for base in dict.fromkeys(self.failed_at):
            if base != self.connection.api.endpoint.base:
                yield f"{base} failed during the run, and another server took its requests"

    @property
    def _pays_drafts(self) -> bool:
        """Whether this request pays for the drafts that shorten its prompt."""
        return self.request.first and not self.request.parent.tokens

    async def _attempt(self, connection: Connection) -> None:
        # The pool's connection holds the parameters of no run.
        self.connection = replace(connection, params=self.connection.params)
        self.reply = StreamedReply()
        if self.tokens >= self.request.max_tokens:
            return
        try:
            await self.connection.receive(self._body(), self.reply, self._take_document)
        except TransientError:
            self.failed_at.append(connection.api.endpoint.base)
            self._keep_partial()
            self.out_of_budget = not self._can_retry
            if not self.out_of_budget:
                raise

    @property
    def _can_retry(self) -> bool:
        """Whether the lease can pay for the failed attempts."""
        prompts = self.prompts * sum(self._prompt_tokens())
        in_vain = cost_of(self.connection.price, prompts, 0, self.lost_tokens).usd or 0.0
        return not in_vain or self.request.spare is None or in_vain <= self.request.spare

    def _keep_partial(self) -> None:
        """Keep the text of a dropped attempt, where the rest can be requested."""
        reply, capabilities = self.reply, self.connection.capabilities
        self.prompts += reply.started
        if (
            capabilities.continues
            and capabilities.logprobs
            and reply.scored_tokens
            and not reply.hidden
        ):
            self.log_probability += reply.log_probability
            self.scored_tokens += reply.scored_tokens
            self.text, self.tokens = self._text(), self._output_tokens()
        else:
            written = reply.output_tokens(self.request.max_tokens - self.tokens)
            self.wasted = max(self.wasted, written)
            self.lost_tokens += written
        self.reply = StreamedReply()

    def _body(self) -> Body:
        request, connection = self.request, self.connection
        question, prefix = self.prompt
        raw, short = connection.raw, self.short
        if short is not None:
            question = short.text
            raw = short.fields if connection.capabilities.ids else raw
        most = request.max_tokens - self.tokens
        body = connection.capabilities.body(
            question, prefix + self.text, most, connection.params, raw
        )
        place = replace(request.parent, tokens=request.parent.tokens + self.tokens)
        seed = request_seed(replace(request, parent=place))
        settings = connection.params.settings(request.temperature)
        return {
            **body,
            **settings,
            "seed": seed,
            **connection.capabilities.stopping(self._delimiter, connection.params),
        }

    @property
    def _delimiter(self) -> str | None:
        return self.request.delimiter if self.request.until == "step" else None

    def _take_document(self) -> bool:
        """Show what a document added; True if it ends the piece."""
        if self.stream is not None:
            chance = self.log_probability + self.reply.log_probability
            self.stream.grow(self._text(), chance, self.connection.api)
        return self._ended_early()

    def _ended_early(self) -> bool:
        """Whether the text so far ends the piece, although the server continues."""
        capabilities = self.connection.capabilities
        unreported = self._delimiter is not None and (
            capabilities.stops == "watched" or capabilities.trims
        )
        # A server that continues a prefix misses stop strings that began in the prefix.
        watched = unreported or bool(self.text)
        return watched and not self.reply.finish and self._ending()[1] in ("step", "stop")

    def _ending(self) -> tuple[str, str, int]:
        """The piece's text, its finish reason, and the characters before it that a stop string
        covers."""
        text, delimiter, step = self._text(), self._delimiter, 0
        if delimiter is not None:
            if self.reply.finish == "stop" and self.reply.matched_stop == delimiter:
                text += "" if text.endswith(delimiter) else delimiter
            step = text.find(delimiter) + len(delimiter) if delimiter in text else 0
        matcher = StopMatcher(
            self.connection.params.stop, keep=False, after=self.request.parent.text
        )
        shown = matcher.feed(text[: step or None])
        if matcher.stopped:
            return shown, "stop", matcher.back
        if step:
            return text[:step], "step", 0
        return text, self.reply.finish if self.reply.complete else "length", 0

    def _withheld_error(self, finish: str) -> RemoteError:
        """The error for an answer that the server withheld."""
        said = self.connection.api.scrub.text(" ".join(self.reply.refusal.split()))[:300]
        return RemoteError(
            f"{self.connection.api.endpoint.base}: {WITHHELD[finish].format('the answer')} before "
            f"its first token{': ' + said if said else ''}",
            "rephrase the question, or use another model",
        )

    def _text(self) -> str:
        before = self.request.parent.text + self.text
        fresh = self.connection.api.scrub.answer(self.reply.text)
        again = self.connection.capabilities.trims and before[-1:].isspace()
        return self.text + (fresh.lstrip() if again else fresh)

    def _output_tokens(self) -> int:
        left = self.request.max_tokens - self.tokens
        return self.tokens + min(left, self.reply.output_tokens(left))

    def _piece(self, text: str, tokens: int, finish: str, back: int = 0) -> Piece:
        chance = self.log_probability + self.reply.log_probability
        scored_tokens = self.scored_tokens + self.reply.scored_tokens
        return Piece(text, (), tokens, chance, finish, scored_tokens=scored_tokens, back=back)

    def _prompt_tokens(self) -> tuple[int, int]:
        """Fresh and cached prompt tokens, without the text of earlier attempts."""
        prompt, cached = self.reply.prompt_tokens(self.estimated_prompt_tokens + self.tokens)
        fresh = max(0, prompt - self.tokens)
        return fresh, max(0, cached - (self.tokens - (prompt - fresh)))

    def _cost(self, tokens: int) -> Cost:
        drafts = self.shared.spent() if self.shared and self._pays_drafts else Cost()
        if not self.reply.started and not self.prompts:
            return drafts.plus(cost_of(self.connection.price, 0, 0, 0))
        return drafts.plus(cost_of(self.connection.price, *self._prompt_tokens(), tokens))
