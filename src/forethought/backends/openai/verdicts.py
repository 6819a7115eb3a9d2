"""Verdicts on their way from a server: by chances where it tells them, else by what it writes.

A request is charged once, however often it has to be sent. A reply that is none of the choices is
an error: nobody knows what it would be worth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from forethought.backends.openai.completions import Connection
from forethought.backends.openai.errors import PassingError
from forethought.backends.openai.protocol import (
    Body,
    Capabilities,
    CompletionParams,
    choice_chances,
    cost_of,
)
from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.contracts.backend import RequestOutcome, VerdictRequest
from forethought.contracts.errors import RemoteError
from forethought.contracts.records import Cost

_WRITTEN = 8
"""Tokens that a reply of one word may have."""
_AROUND = " \t\n\"'*`."
"""What may stand around that word."""
_SLACK = 1.1
"""Times as many tokens of a prompt as there can be, before a count is taken for wrong."""


@dataclass
class VerdictCall:
    """Verdicts on their way, all at once."""

    divides: ClassVar[bool] = False
    """Whether something can be made of a part of it."""
    request: VerdictRequest
    line: Connection
    chances: dict[int, tuple[float, ...]] = field(default_factory=dict)
    spent: Cost = field(default_factory=Cost)
    lost: Cost = field(default_factory=Cost)
    """What was read and written in vain, where a reply broke off."""

    async def run(self) -> None:
        """Ask for all verdicts; RemoteError where one cannot be had."""
        patiently = self.line.api.patiently
        places = list(range(len(self.request.questions)))
        if self.line.price is not None:  # the first shows whether the others cost what they should
            await patiently(partial(self._attempt, places.pop(0)))
        asked = [patiently(partial(self._attempt, place)) for place in places]
        # All are waited for, so that whatever they cost is known.
        for found in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(found, BaseException):
                raise found

    def done(self) -> RequestOutcome:
        """What it came to."""
        chances = tuple(self.chances[place] for place in range(len(self.request.questions)))
        return RequestOutcome(self.request.key, self.spent, chances=chances)

    def cancelled(self) -> RequestOutcome:
        """Nothing can be made of some of the verdicts."""
        return self.failed(RemoteError("cancelled before all was judged", "allow it more time"))

    def failed(self, error: BaseException) -> RequestOutcome:
        """What it took, though nothing came of it."""
        failure = error if isinstance(error, Exception) else RemoteError(repr(error))
        return RequestOutcome(self.request.key, self.spent, error=failure)

    async def _attempt(self, place: int) -> None:
        heard, question = StreamedReply(), self.request.questions[place]
        try:
            await self.line.listen(self._body(question), heard, lambda: False)
        except PassingError:
            if heard.begun:
                self.lost = self.lost.plus(self._priced(question, heard))
            raise
        self.spent = self.spent.plus(self._cost(question, heard))
        self._check_counts(question, heard)
        self.chances[place] = self._told(heard) if self.line.able.top else self._said(heard)

    def _check_counts(self, question: str, heard: StreamedReply) -> None:
        """Raise RemoteError where a server counts what nobody set dollars aside for."""
        counted, most = sum(heard.prompt(0)), self.line.prompt_at_most(question)
        if self.line.price is not None and counted > _SLACK * most:
            raise RemoteError(
                f"{self.line.api.endpoint.base} counts {counted:,} tokens of a prompt that has "
                f"{most:,} at most",
                "see how the server counts before you pay it for verdicts",
            )

    def _body(self, question: str) -> Body:
        able = self.line.able
        body = able.body(question, "", reply_tokens(able), CompletionParams(), self.line.raw)
        if able.top:
            return {**able.with_top(body), "temperature": 1.0, "seed": 0}
        return {**body, "temperature": 0.0, "seed": 0}

    def _told(self, heard: StreamedReply) -> tuple[float, ...]:
        """The choices' chances as the first word of a reply."""
        found = choice_chances(heard.tops[0] if heard.tops else {}, self.request.choices)
        if found is None:
            raise RemoteError(
                f"none of {self._choices} is among the tokens that {self.line.able.model} is "
                "likely to answer with",
                "use a scorer that asks for no verdicts, or a model that answers in one word",
            )
        return found

    def _said(self, heard: StreamedReply) -> tuple[float, ...]:
        """1 for the choice that was written, 0 for the others."""
        found = written_choice(heard.text, self.request.choices)
        if found is None:
            raise RemoteError(
                f"{self.line.able.model} replied {heard.text!r} where one of {self._choices} was "
                "asked for",
                "use a model that answers in one word, or a prompt that insists on it",
            )
        return tuple(float(place == found) for place in range(len(self.request.choices)))

    @property
    def _choices(self) -> str:
        return ", ".join(self.request.choices)

    def _cost(self, question: str, heard: StreamedReply) -> Cost:
        priced = self._priced(question, heard)
        return Cost(scoring_tokens=priced.prompt_tokens + priced.cached_tokens, usd=priced.usd)

    def _priced(self, question: str, heard: StreamedReply) -> Cost:
        prompt, cached = heard.prompt(self.line.prompt_about(question))
        most = reply_tokens(self.line.able)
        written = most if most == 1 else heard.tokens(most)
        return cost_of(self.line.price, prompt, cached, written)


def reply_tokens(able: Capabilities) -> int:
    """Most tokens that a server is asked to reply with for one verdict."""
    return 1 if able.top else _WRITTEN


def written_choice(text: str, choices: Sequence[str]) -> int | None:
    """Which choice a reply is, and nothing else; None where it is none of them."""
    word = text.strip(_AROUND).casefold()
    places = [place for place, choice in enumerate(choices) if choice.casefold() == word]
    return places[0] if len(places) == 1 else None
