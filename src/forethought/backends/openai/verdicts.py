"""Verdicts from a server: by log-probabilities where it returns them, else by its text.

Retries are free: each verdict is charged once. A reply that matches no choice is an error and never
a score.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from forethought.backends.openai.connection import Connection
from forethought.backends.openai.errors import TransientError
from forethought.backends.openai.pool import Pool
from forethought.backends.openai.protocol import (
    Body,
    Capabilities,
    CompletionParams,
    choice_probabilities,
)
from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.contracts.backend import RequestOutcome, VerdictRequest
from forethought.contracts.errors import RemoteError
from forethought.contracts.records import Cost
from forethought.cost.prices import cost_of

_REPLY_TOKENS = 8
"""Token limit of a written verdict."""
_DECORATION = " \t\n\"'*`."
"""Characters that may surround a written verdict."""
_SLACK = 1.1
"""Factor by which a server's prompt count may exceed our upper bound."""


@dataclass
class VerdictCall:
    """A batch of verdicts in flight."""

    divides: ClassVar[bool] = False
    """Whether part of the batch is a useful outcome."""
    request: VerdictRequest
    connection: Connection
    chances: dict[int, tuple[float, ...]] = field(default_factory=dict)
    spent: Cost = field(default_factory=Cost)
    lost: Cost = field(default_factory=Cost)
    """Cost of the replies that dropped."""

    async def run(self, pool: Pool) -> None:
        """Request all verdicts; RemoteError where one fails."""
        run, most = self.request.run, reply_tokens(self.connection.capabilities)
        places = list(range(len(self.request.questions)))
        # Where money is at stake, one verdict checks the server's counts before the others start.
        if self.connection.price is not None:
            await pool.with_retries(partial(self._attempt, places.pop(0)), run, most)
        asked = [pool.with_retries(partial(self._attempt, place), run, most) for place in places]
        # Awaits all of them, so that the costs of all are known.
        for found in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(found, BaseException):
                raise found

    def done(self) -> RequestOutcome:
        """The outcome with all verdicts."""
        chances = tuple(self.chances[place] for place in range(len(self.request.questions)))
        return RequestOutcome(self.request.key, self.spent, chances=chances)

    def cancelled(self) -> RequestOutcome:
        """A cancelled batch is a failure: no part of it is useful."""
        return self.failed(RemoteError("cancelled before all verdicts came", "allow more time"))

    def failed(self, error: BaseException) -> RequestOutcome:
        """The outcome of a failure, with its cost."""
        failure = error if isinstance(error, Exception) else RemoteError(repr(error))
        return RequestOutcome(self.request.key, self.spent, error=failure)

    async def _attempt(self, place: int, connection: Connection) -> None:
        reply, question = StreamedReply(), self.request.questions[place]
        try:
            await connection.receive(_body(connection, question), reply, lambda: False)
        except TransientError:
            if reply.started:
                self.lost = self.lost.plus(self._priced(question, reply))
            raise
        self.spent = self.spent.plus(self._cost(question, reply))
        self._check_counts(question, reply)
        self.chances[place] = (
            self._from_logprobs(reply)
            if self.connection.capabilities.top
            else self._from_text(reply)
        )

    def _check_counts(self, question: str, reply: StreamedReply) -> None:
        """Raise RemoteError where a paid server counts more prompt tokens than there can be."""
        counted, most = sum(reply.prompt_tokens(0)), self.connection.max_prompt_tokens(question)
        if self.connection.price is not None and counted > _SLACK * most:
            raise RemoteError(
                f"{self.connection.api.endpoint.base} counts {counted:,} tokens in a prompt of "
                f"{most:,} at most",
                "check how the server counts tokens before you pay for verdicts",
            )

    def _from_logprobs(self, reply: StreamedReply) -> tuple[float, ...]:
        """The choices' probabilities as first token of the reply."""
        found = choice_probabilities(
            reply.top_logprobs[0] if reply.top_logprobs else {}, self.request.choices
        )
        if found is None:
            raise RemoteError(
                f"none of {self._choices} is among the likely first tokens of "
                f"{self.connection.capabilities.model}",
                "use a scorer without verdicts, or a model that answers in one word",
            )
        return found

    def _from_text(self, reply: StreamedReply) -> tuple[float, ...]:
        """1 for the choice in the reply, 0 for the others."""
        found = written_choice(reply.text, self.request.choices)
        if found is None:
            raise RemoteError(
                f"{self.connection.capabilities.model} replied {reply.text!r}, which is none of "
                f"{self._choices}",
                "use a model that answers in one word",
            )
        return tuple(float(place == found) for place in range(len(self.request.choices)))

    @property
    def _choices(self) -> str:
        return ", ".join(self.request.choices)

    def _cost(self, question: str, reply: StreamedReply) -> Cost:
        priced = self._priced(question, reply)
        return Cost(scoring_tokens=priced.prompt_tokens + priced.cached_tokens, usd=priced.usd)

    def _priced(self, question: str, reply: StreamedReply) -> Cost:
        prompt, cached = reply.prompt_tokens(self.connection.estimated_prompt_tokens(question))
        most = reply_tokens(self.connection.capabilities)
        written = most if most == 1 else reply.output_tokens(most)
        return cost_of(self.connection.price, prompt, cached, written)


def _body(connection: Connection, question: str) -> Body:
    capabilities = connection.capabilities
    most, params = reply_tokens(capabilities), CompletionParams()
    body = capabilities.body(question, "", most, params, connection.raw)
    if capabilities.top:
        return {**capabilities.with_top(body), "temperature": 1.0, "seed": 0}
    return {**body, "temperature": 0.0, "seed": 0}


def reply_tokens(capabilities: Capabilities) -> int:
    """Token limit of the reply to one verdict."""
    return 1 if capabilities.top else _REPLY_TOKENS


def written_choice(text: str, choices: Sequence[str]) -> int | None:
    """The index of the choice that a reply consists of; None if it is none of them."""
    word = text.strip(_DECORATION).casefold()
    places = [place for place, choice in enumerate(choices) if choice.casefold() == word]
    return places[0] if len(places) == 1 else None
