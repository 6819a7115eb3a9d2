"""POST /v1/responses: a thin layer over chat."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from forethought.contracts.records import Event
from forethought.server.answering import OpenedStream, Told, all_answered, unless_left
from forethought.server.chat import ChatAnswer
from forethought.server.chat_requests import AskedChat, asked_chat
from forethought.server.context import context_of
from forethought.server.errors import ApiError
from forethought.server.event_stream import EventResponse, data_line
from forethought.server.json_body import read_body
from forethought.server.openapi import described
from forethought.server.response_requests import chat_request
from forethought.server.schemas.responses_request import ResponsesRequest

router = APIRouter()
Document = dict[str, Any]


@router.post("/v1/responses", **described(ResponsesRequest, "response"))
async def responses(request: Request) -> Response:
    """Answer a text or a conversation."""
    context = context_of(request)
    fields = await read_body(request, ResponsesRequest, context.settings)
    asked = await asked_chat(context, request, chat_request(fields))
    events = all_answered(context, [asked.live])
    if not fields.stream:
        return JSONResponse(await unless_left(request, _response(fields, asked, events)))
    opened = await OpenedStream(events).open()
    return EventResponse(context, _lines(fields, asked, opened), opened.aclose)


async def _response(
    fields: ResponsesRequest, asked: AskedChat, events: AsyncGenerator[Told, None]
) -> Document:
    answer = ResponseAnswer(fields, asked)
    try:
        async for told in events:
            answer.take(told.event)
    finally:
        await events.aclose()
    return answer.document(answer.status)


class ResponseAnswer:
    """A chat answer in the shape of responses."""

    def __init__(self, fields: ResponsesRequest, asked: AskedChat) -> None:
        self.fields = fields
        self.chat = ChatAnswer(asked)
        self.id = f"resp_{asked.live.name.partition('-')[2]}"
        self.item = f"msg_{asked.live.name.partition('-')[2]}"

    def take(self, event: Event) -> str:
        """Handle an event; returns the fresh content."""
        fresh = [delta for _, deltas, _ in self.chat.take(event) for delta in deltas]
        return "".join(delta.get("content", "") for delta in fresh)

    @property
    def status(self) -> str:
        """The status of the whole answer."""
        return "incomplete" if self.chat.choices[0].finish == "length" else "completed"

    def document(self, status: str, error: Document | None = None) -> Document:
        """The response as far as it is known."""
        fields, recipe = self.fields, self.chat.asked.live.recipe
        ended = bool(self.chat.run)
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.chat.created,
            "status": status,
            "model": self.chat.asked.name,
            "output": self.output(status) if ended else [],
            "error": error,
            "incomplete_details": {"reason": "max_output_tokens"}
            if status == "incomplete"
            else None,
            "instructions": fields.instructions,
            "metadata": fields.metadata or {},
            "max_output_tokens": fields.max_output_tokens,
            "parallel_tool_calls": fields.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "temperature": recipe.warmth,
            "top_p": recipe.top_p,
            "tool_choice": fields.tool_choice
            if isinstance(fields.tool_choice, str | None)
            else fields.tool_choice.model_dump(),
            "tools": [tool.model_dump() for tool in fields.tools or ()],
            "truncation": "disabled",
            "usage": self._usage() if ended else None,
            **({"forethought": self.chat.summary} if ended else {}),
        } | ({"tool_choice": "auto"} if fields.tool_choice is None else {})

    def output(self, status: str) -> list[Document]:
        """The items of the output: reasoning, the message, tool calls."""
        message = self.chat.choices[0].message()
        found: list[Document] = []
        if reasoning := message.get("reasoning"):
            content = [{"type": "reasoning_text", "text": reasoning}]
            name = f"rs_{self.id.partition('_')[2]}"
            found.append({"id": name, "type": "reasoning", "summary": [], "content": content})
        calls = message.get("tool_calls") or ()
        if message["content"] or not calls:
            found.append(self.message(status, message["content"] or ""))
        for call in calls:
            shown = {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}
            head = {"id": f"fc_{call['id']}", "type": "function_call", "call_id": call["id"]}
            found.append({**head, **shown, "status": "completed"})
        return found

    def message(self, status: str, text: str | None) -> Document:
        """The message of the output; without a text it has no content yet."""
        content = [] if text is None else [self.part(text)]
        head = {"id": self.item, "type": "message", "role": "assistant"}
        return {**head, "status": status, "content": content}

    def part(self, text: str) -> Document:
        """The text of the message."""
        logprobs = self.chat.choices[0].entries if text else []
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}

    def _usage(self) -> Document:
        found = self.chat.usage
        return {
            "input_tokens": found["prompt_tokens"],
            "input_tokens_details": found["prompt_tokens_details"],
            "output_tokens": found["completion_tokens"],
            "output_tokens_details": found["completion_tokens_details"],
            "total_tokens": found["total_tokens"],
        }


async def _lines(
    fields: ResponsesRequest, asked: AskedChat, opened: OpenedStream
) -> AsyncGenerator[bytes, None]:
    stream = _ResponseEvents(ResponseAnswer(fields, asked))
    for line in stream.first():
        yield line
    try:
        async for told in opened:
            for line in stream.lines(told.event):
                yield line
    except ApiError as error:
        yield stream.failed(error)


class _ResponseEvents:
    """The events of a streamed response, numbered in sequence."""

    def __init__(self, answer: ResponseAnswer) -> None:
        self.answer = answer
        self._numbers = itertools.count()
        self._text: list[str] = []

    def first(self) -> Iterator[bytes]:
        """The events before the text."""
        answer = self.answer
        yield self._line("response.created", {"response": answer.document("in_progress")})
        yield self._line("response.in_progress", {"response": answer.document("in_progress")})
        yield self._item("added", answer.message("in_progress", None))
        yield self._part("added", "")

    def lines(self, event: Event) -> Iterator[bytes]:
        """The events of an event of the run."""
        if self.answer.fields.stream_events:
            told = {"event": {"kind": event.kind, "data": event.data}}
            yield self._line("response.forethought.event", {"forethought": told})
        if fresh := self.answer.take(event):
            self._text.append(fresh)
            place = {"item_id": self.answer.item, **_PLACE}
            yield self._line(
                "response.output_text.delta", {**place, "delta": fresh, "logprobs": []}
            )
        if event.kind == "done":
            yield from self._last()

    def failed(self, error: ApiError) -> bytes:
        """The event of a response that failed."""
        told = {"code": error.code or error.kind, "message": error.message}
        return self._line("response.failed", {"response": self.answer.document("failed", told)})

    def _last(self) -> Iterator[bytes]:
        answer, text = self.answer, "".join(self._text)
        status, place = answer.status, {"item_id": answer.item, **_PLACE}
        yield self._line("response.output_text.done", {**place, "text": text, "logprobs": []})
        yield self._part("done", text)
        yield self._item("done", answer.message(status, text))
        yield self._line(f"response.{status}", {"response": answer.document(status)})

    def _item(self, kind: str, item: Document) -> bytes:
        return self._line(f"response.output_item.{kind}", {"output_index": 0, "item": item})

    def _part(self, kind: str, text: str) -> bytes:
        fields = {"item_id": self.answer.item, **_PLACE, "part": self.answer.part(text)}
        return self._line(f"response.content_part.{kind}", fields)

    def _line(self, kind: str, fields: Document) -> bytes:
        numbered = {"type": kind, "sequence_number": next(self._numbers), **fields}
        return data_line(numbered, event=kind)


_PLACE = {"output_index": 0, "content_index": 0}
