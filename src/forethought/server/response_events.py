"""The events of a streamed response, numbered in sequence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

from forethought.contracts.records import Event
from forethought.server.errors import ApiError
from forethought.server.event_stream import data_line
from forethought.server.response_items import Document, OutputItem, ResponseItems
from forethought.server.schemas.responses_request import ResponsesRequest

_TEXTS = {"message": "output_text", "reasoning": "reasoning_text"}


class GrowingResponse(Protocol):
    """A response that is built from events."""

    fields: ResponsesRequest
    output: ResponseItems

    @property
    def status(self) -> str:
        """The status of the whole answer."""
        ...

    def take(self, event: Event) -> list[tuple[OutputItem, str]]:
        """Handle an event; returns the items that grew, with their fresh text."""
        ...

    def document(self, status: str, error: Document | None = None) -> Document:
        """The response as far as it is known."""
        ...


class ResponseEvents:
    """Writes the events of a response as lines."""

    def __init__(self, answer: GrowingResponse) -> None:
        self._answer = answer
        self._numbers = itertools.count()
        self._open: OutputItem | None = None

    def first(self) -> Iterator[bytes]:
        """The events before the output."""
        for kind in ("created", "in_progress"):
            yield self._line(kind, {"response": self._answer.document("in_progress")})

    def lines(self, event: Event) -> Iterator[bytes]:
        """The events of an event of the run."""
        if self._answer.fields.stream_events:
            told = {"event": {"kind": event.kind, "data": event.data}}
            yield self._line("forethought.event", {"forethought": told})
        for item, fresh in self._answer.take(event):
            yield from self._begin(item)
            yield self._delta(item, fresh)
        if event.kind == "done":
            yield from self._last()

    def failed(self, error: ApiError) -> bytes:
        """The event of a response that failed."""
        told = {"code": error.code or error.kind, "message": error.message}
        return self._line("failed", {"response": self._answer.document("failed", told)})

    def _begin(self, item: OutputItem) -> Iterator[bytes]:
        """End the item before, and begin this one."""
        if item is self._open:
            return
        yield from self._end("completed")
        self._open = item
        yield self._line("output_item.added", self._shown(item, "in_progress"))
        if item.kind == "message":
            empty = OutputItem(item.kind, item.id, refuses=item.refuses).part()
            yield self._line("content_part.added", {**self._place(item), "part": empty})

    def _delta(self, item: OutputItem, fresh: str) -> bytes:
        if item.kind == "function_call":
            return self._line("function_call_arguments.delta", {**self._at(item), "delta": fresh})
        place, text = self._place(item), _text_of(item)
        told: Document = {"logprobs": []} if text == "output_text" else {}
        return self._line(f"{text}.delta", {**place, "delta": fresh, **told})

    def _end(self, status: str) -> Iterator[bytes]:
        """End the item in progress."""
        item, self._open = self._open, None
        if item is None:
            return
        if item.kind == "function_call":
            done = {**self._at(item), "name": item.name, "arguments": item.text}
            yield self._line("function_call_arguments.done", done)
        else:
            text = _text_of(item)
            told: Document = {"logprobs": []} if text == "output_text" else {}
            name = "refusal" if item.refuses else "text"
            yield self._line(f"{text}.done", {**self._place(item), name: item.text, **told})
        if item.kind == "message":
            yield self._line("content_part.done", {**self._place(item), "part": item.part()})
        yield self._line("output_item.done", self._shown(item, status))

    def _last(self) -> Iterator[bytes]:
        answer = self._answer
        yield from self._begin(answer.output.items[-1])
        yield from self._end(answer.status)
        yield self._line(answer.status, {"response": answer.document(answer.status)})

    def _shown(self, item: OutputItem, status: str) -> Document:
        return {"output_index": self._index(item), "item": item.document(status)}

    def _at(self, item: OutputItem) -> Document:
        return {"item_id": item.id, "output_index": self._index(item)}

    def _place(self, item: OutputItem) -> Document:
        return {**self._at(item), "content_index": 0}

    def _index(self, item: OutputItem) -> int:
        return next(n for n, one in enumerate(self._answer.output.items) if one is item)

    def _line(self, kind: str, fields: dict[str, Any]) -> bytes:
        name = f"response.{kind}"
        numbered = {"type": name, "sequence_number": next(self._numbers), **fields}
        return data_line(numbered, event=name)


def _text_of(item: OutputItem) -> str:
    """The name of an item's text among the events."""
    return "refusal" if item.refuses else _TEXTS[item.kind]
