"""POST /v1/responses: a thin layer over chat."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from forethought.contracts.records import Event
from forethought.server.answering import OpenedStream
from forethought.server.chat import ChatAnswer
from forethought.server.chat_requests import AskedChat, asked_chat
from forethought.server.context import context_of
from forethought.server.errors import ApiError
from forethought.server.json_body import read_body
from forethought.server.openapi import described
from forethought.server.replies import streamed_reply, whole_reply
from forethought.server.response_events import ResponseEvents
from forethought.server.response_items import OutputItem, ResponseItems
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
    if fields.stream:
        return await streamed_reply(request, [asked.live], partial(_lines, fields, asked))
    answer = ResponseAnswer(fields, asked)
    return await whole_reply(
        request,
        [asked.live],
        lambda told: answer.take(told.event),
        lambda: answer.document(answer.status),
    )


class ResponseAnswer:
    """A chat answer in the shape of responses."""

    def __init__(self, fields: ResponsesRequest, asked: AskedChat) -> None:
        self.fields = fields
        self.chat = ChatAnswer(asked)
        name = asked.live.name.partition("-")[2]
        self.id = f"resp_{name}"
        self.output = ResponseItems(name)

    def take(self, event: Event) -> list[tuple[OutputItem, str]]:
        """Handle an event; returns the items that grew, with their fresh text."""
        grown = []
        for choice, deltas, _ in self.chat.take(event):
            for delta in deltas:
                item = self.output.take(delta)
                item.logprobs = choice.entries
                grown.append((item, item.pieces[-1]))
        if event.kind == "done":
            self.output.at_least_one()
        return grown

    @property
    def status(self) -> str:
        """The status of the whole answer."""
        return "incomplete" if self.chat.choices[0].finish == "length" else "completed"

    def document(self, status: str, error: Document | None = None) -> Document:
        """The response as far as it is known."""
        fields, recipe, ended = self.fields, self.chat.asked.live.recipe, bool(self.chat.run)
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        choice = fields.tool_choice or "auto"
        shown = [one.document(status) for one in self.output.items] if ended else []
        found = {
            "id": self.id,
            "object": "response",
            "created_at": self.chat.created,
            "status": status,
            "model": self.chat.asked.name,
            "output": shown,
            "error": error,
            "incomplete_details": cut,
            "instructions": fields.instructions,
            "metadata": fields.metadata or {},
            "max_output_tokens": fields.max_output_tokens,
            "parallel_tool_calls": fields.parallel_tool_calls is not False,
            "previous_response_id": None,
            "store": False,
            "temperature": recipe.warmth,
            "top_p": recipe.top_p,
            "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
            "tools": [tool.model_dump() for tool in fields.tools or ()],
            "truncation": "disabled",
            "usage": self._usage() if ended else None,
        }
        return {**found, "forethought": self.chat.summary} if ended else found

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
    stream = ResponseEvents(ResponseAnswer(fields, asked))
    for line in stream.first():
        yield line
    try:
        async for told in opened:
            for line in stream.lines(told.event):
                yield line
    except ApiError as error:
        yield stream.failed(error)
