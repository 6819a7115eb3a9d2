"""POST /v1/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from forethought.server.answering import OpenedStream, Told
from forethought.server.completion_choice import CompletionChoice, Logprobs
from forethought.server.completion_requests import AskedCompletion, asked_completion
from forethought.server.context import context_of
from forethought.server.event_stream import DONE, data_line
from forethought.server.json_body import read_body
from forethought.server.openapi import described
from forethought.server.replies import streamed_reply, whole_reply
from forethought.server.run_summary import choices_of, summary, usage
from forethought.server.schemas.completion_request import CompletionRequest
from forethought.server.token_texts import TokenTexts

router = APIRouter()
Chunk = dict[str, Any]
Fresh = tuple[CompletionChoice, str, Logprobs]


@router.post("/v1/completions", **described(CompletionRequest, "text completion"))
async def completions(request: Request) -> Response:
    """Complete one or several texts."""
    context = context_of(request)
    fields = await read_body(request, CompletionRequest, context.settings)
    asked = await asked_completion(context, request, fields)
    if fields.stream:
        return await streamed_reply(request, asked.lives, partial(_lines, asked))
    answer = CompletionAnswer(asked)
    return await whole_reply(request, asked.lives, answer.take, answer.document)


class CompletionAnswer:
    """The choices of all prompts, built from the events of their runs."""

    def __init__(self, asked: AskedCompletion) -> None:
        self.asked = asked
        self.created = int(time.time())
        texts = None if asked.model is None else TokenTexts(asked.model.tokenizer)
        self.choices = [
            [
                CompletionChoice(asked, live.prompt, number * asked.samples + place, texts)
                for place in range(asked.samples)
            ]
            for number, live in enumerate(asked.lives)
        ]
        self.runs: dict[int, Mapping[str, Any]] = {}
        if asked.fields.echo:
            for one in self._all():
                one.echo()

    def take(self, told: Told) -> list[Fresh]:
        """Handle an event; returns choices with their fresh text and log-probabilities."""
        event, choices = told.event, self.choices[told.prompt]
        if event.kind == "prompt" and self.asked.fields.echo:
            for one in choices:
                one.echo_logprobs(event.data)
            return [(one, "", one.logprobs) for one in choices]
        if event.kind == "token":
            choice = choices[event.data["candidate"]]
            return [(choice, *choice.push(event.data))]
        if event.kind != "done":
            return []
        run = self.runs[told.prompt] = event.data["run"]
        ended = zip(choices, choices_of(run, self.asked.lives[0].recipe), strict=False)
        return [(one, one.end(text, finish), Logprobs()) for one, (text, finish) in ended]

    def document(self) -> dict[str, Any]:
        """The whole answer; of more samples than choices, the likeliest."""
        n = self.asked.n
        best = [sorted(group, key=lambda one: -one.likelihood)[:n] for group in self.choices]
        listed = [one for group in (best if n < self.asked.samples else self.choices)
                  for one in group]  # fmt: skip
        choices = [one.document(index) for index, one in enumerate(listed)]
        return {**self.head(), "choices": choices, "usage": self.usage, **self.summary}

    def head(self) -> dict[str, Any]:
        """The fields that the document and all chunks share."""
        return {
            "id": self.asked.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.asked.name,
            "system_fingerprint": None,
        }

    @property
    def usage(self) -> dict[str, Any]:
        """The tokens of all runs."""
        return usage(list(self.runs.values()), discards=self.asked.scores_only)

    @property
    def summary(self) -> dict[str, Any]:
        """The `forethought` object: of one prompt its run, else a list."""
        names = [live.name for live in self.asked.lives]
        found = [summary(self.runs[number], name) for number, name in enumerate(names)]
        return {"forethought": found[0] if len(found) == 1 else {"runs": found}}

    def _all(self) -> Iterator[CompletionChoice]:
        return (one for group in self.choices for one in group)


async def _lines(asked: AskedCompletion, opened: OpenedStream) -> AsyncGenerator[bytes, None]:
    answer = CompletionAnswer(asked)
    head = answer.head()
    tail = {"usage": None} if asked.fields.includes_usage else {}
    for chunk in _echoes(answer, head | tail):
        yield data_line(chunk)
    async for told in opened:
        if asked.fields.stream_events:
            event = {"kind": told.event.kind, "data": told.event.data}
            shown = {"event": event, "prompt": told.prompt}
            yield data_line({**head, "choices": [], "forethought": shown, **tail})
        for choice, text, logprobs in answer.take(told):
            if text or logprobs.tokens or choice.finish:
                yield data_line({**head, "choices": [_chunk(choice, text, logprobs)], **tail})
    if tail:
        yield data_line({**head, "choices": [], "usage": answer.usage, **answer.summary})
    yield DONE


def _echoes(answer: CompletionAnswer, head: dict[str, Any]) -> Iterator[Chunk]:
    """The chunks of echoed prompts without log-probabilities."""
    for group in answer.choices:
        for one in group:
            if one.text:
                yield {**head, "choices": [_chunk(one, "".join(one.text), Logprobs())]}


def _chunk(one: CompletionChoice, text: str, logprobs: Logprobs) -> dict[str, Any]:
    told = logprobs.document() if logprobs.tokens else None
    finish = one.finish or None
    return {"index": one.index, "text": text, "logprobs": told, "finish_reason": finish}
