"""POST /v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from forethought.contracts.records import Event
from forethought.server.answering import OpenedStream
from forethought.server.chat_choice import ChatChoice
from forethought.server.chat_requests import AskedChat, asked_chat
from forethought.server.context import context_of
from forethought.server.event_stream import DONE, data_line
from forethought.server.json_body import read_body
from forethought.server.openapi import described
from forethought.server.replies import streamed_reply, whole_reply
from forethought.server.run_summary import choices_of, summary, usage, withheld
from forethought.server.schemas.chat_request import ChatRequest
from forethought.server.token_texts import TokenTexts

router = APIRouter()
Chunk = dict[str, Any]


@router.post("/v1/chat/completions", **described(ChatRequest, "chat.completion"))
async def chat_completions(request: Request) -> Response:
    """Answer a conversation."""
    context = context_of(request)
    fields = await read_body(request, ChatRequest, context.settings)
    asked = await asked_chat(context, request, fields)
    if fields.stream:
        return await streamed_reply(request, [asked.live], partial(_lines, asked))
    answer = ChatAnswer(asked)
    return await whole_reply(
        request, [asked.live], lambda told: answer.take(told.event), answer.document
    )


class ChatAnswer:
    """The choices of a chat answer, built from the events of its run."""

    def __init__(self, asked: AskedChat) -> None:
        self.asked = asked
        self.created = int(time.time())
        texts = None if asked.model is None else TokenTexts(asked.model.tokenizer)
        self.choices = [ChatChoice(asked, index, texts) for index in range(asked.choices)]
        self.run: Mapping[str, Any] = {}

    def take(self, event: Event) -> Iterator[tuple[ChatChoice, Any, Any]]:
        """Handle an event; yields choices with their fresh deltas and log-probabilities."""
        found: list[tuple[ChatChoice, Any, Any]] = []
        if event.kind == "token":
            choice = self.choices[event.data["candidate"]]
            deltas, entries = choice.push(event.data)
            found.append((choice, deltas, entries))
        elif event.kind == "done":
            self.run = event.data["run"]
            ended = choices_of(self.run, self.asked.live.recipe)
            for choice, (text, finish) in zip(self.choices, ended, strict=False):
                found.append((choice, choice.end(text, finish, withheld(self.run)), []))
        return iter(found)

    @property
    def usage(self) -> dict[str, Any]:
        """The tokens of the run."""
        return usage([self.run], sum(one.reasoning_tokens for one in self.choices))

    @property
    def summary(self) -> dict[str, Any]:
        """The `forethought` object."""
        return summary(self.run, self.asked.live.name, self.asked.notes)

    def head(self, kind: str) -> dict[str, Any]:
        """The fields that the document and all chunks share."""
        return {
            "id": self.asked.live.name,
            "object": kind,
            "created": self.created,
            "model": self.asked.name,
            "system_fingerprint": None,
        }

    def document(self) -> dict[str, Any]:
        """The whole answer."""
        wanted = bool(self.asked.fields.logprobs)
        choices = [
            {
                "index": one.index,
                "message": one.message(),
                "logprobs": {"content": one.entries, "refusal": None} if wanted else None,
                "finish_reason": one.finish,
            }
            for one in self.choices
        ]
        head = self.head("chat.completion")
        return {**head, "choices": choices, "usage": self.usage, "forethought": self.summary}


async def _lines(asked: AskedChat, opened: OpenedStream) -> AsyncGenerator[bytes, None]:
    stream = _ChatChunks(asked)
    for chunk in stream.first():
        yield data_line(chunk)
    async for told in opened:
        for chunk in stream.chunks(told.event):
            yield data_line(chunk)
    yield DONE


class _ChatChunks:
    """The chunks of a streamed chat answer."""

    def __init__(self, asked: AskedChat) -> None:
        self.answer = ChatAnswer(asked)
        self._head = self.answer.head("chat.completion.chunk")
        self._tail = {"usage": None} if asked.fields.includes_usage else {}

    def first(self) -> Iterator[Chunk]:
        """The chunk that opens each choice."""
        for one in self.answer.choices:
            yield self._chunk(one.index, {"role": "assistant", "content": ""})

    def chunks(self, event: Event) -> Iterator[Chunk]:
        """The chunks of an event."""
        fields = self.answer.asked.fields
        if fields.stream_events:
            told = {"event": {"kind": event.kind, "data": event.data}}
            yield {**self._head, "choices": [], "forethought": told, **self._tail}
        for choice, deltas, entries in self.answer.take(event):
            yield from self._of_choice(choice, deltas, entries)
        if event.kind == "done":
            yield from self._last()

    def _of_choice(self, one: ChatChoice, deltas: list[Any], entries: list[Any]) -> Iterator[Chunk]:
        if entries and not deltas:
            deltas = [{"content": ""}]
        for number, delta in enumerate(deltas):
            # The first delta of a token carries its log-probabilities.
            yield self._chunk(one.index, delta, entries=entries if not number else [])

    def _last(self) -> Iterator[Chunk]:
        """The chunk that ends each choice, and the usage; the last one holds the summary."""
        *others, last = [self._chunk(o.index, {}, finish=o.finish) for o in self.answer.choices]
        summary = {"forethought": self.answer.summary}
        yield from others
        if not self._tail:
            yield {**last, **summary}
            return
        yield last
        yield {**self._head, "choices": [], "usage": self.answer.usage, **summary}

    def _chunk(
        self, index: int, delta: Any, *, entries: list[Any] | None = None, finish: str | None = None
    ) -> Chunk:
        logprobs = {"content": entries, "refusal": None} if entries else None
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return {**self._head, "choices": [choice], **self._tail}
