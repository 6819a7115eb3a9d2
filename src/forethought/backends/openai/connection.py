"""A server as requests see it: its client, its capabilities and the parameters of all requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from forethought.backends.openai.api import Api
from forethought.backends.openai.errors import StalledError, TransientError
from forethought.backends.openai.protocol import Body, Capabilities, CompletionParams, RawFields
from forethought.backends.openai.shape import ShapeError
from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.backends.openai.token_estimate import estimate_tokens
from forethought.contracts.errors import RemoteError
from forethought.cost.prices import Price


@dataclass(frozen=True)
class Connection:
    """A server, its capabilities, and the parameters of every request to it."""

    api: Api
    capabilities: Capabilities
    params: CompletionParams
    price: Price | None
    raw: RawFields

    def max_prompt_tokens(self, question: str, prefix: str = "") -> int:
        """Upper bound of prompt tokens: no tokenizer makes more tokens than bytes."""
        texts = (question, prefix, *self.params.texts)
        return self.capabilities.overhead + sum(
            len(one.encode("utf-8", "surrogatepass")) for one in texts
        )

    def estimated_prompt_tokens(self, question: str, prefix: str = "") -> int:
        """Prompt tokens, where the server does not count them."""
        texts = (question, prefix, *self.params.texts)
        return self.capabilities.overhead + sum(map(estimate_tokens, texts))

    async def receive(
        self, body: Body, reply: StreamedReply, ended_early: Callable[[], bool]
    ) -> None:
        """Stream a reply until it ends or `ended_early` holds; TransientError if it drops."""
        limit, base, path = self.api.limit, self.api.endpoint.base, self.capabilities.path
        allowed_at_start, most = limit.allowed, int(body[self.capabilities.limit])

        def on_document(document: Mapping[str, Any]) -> bool:
            nonlocal allowed_at_start
            allowed_at_start = allowed_at_start if reply.started else limit.allowed
            reply.add(document)
            return ended_early() or reply.exceeds(most)

        try:
            if await self.api.post(path, body, most, on_document) or reply.complete:
                return
            raise TransientError(f"{base} dropped an unfinished answer", "see the server's log")
        except ShapeError as error:
            raise RemoteError(
                f"{base} sent a malformed answer: {error}",
                "check that it is the address of an OpenAI-compatible server",
            ) from None
        except TransientError as error:
            if reply.complete:
                return  # the text is complete; only the usage may be missing
            if reply.started or isinstance(error, StalledError):
                error.overloaded = await limit.lower(allowed_at_start)
            raise
