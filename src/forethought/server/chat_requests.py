"""From a chat request to a live request."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace

from starlette.requests import Request

from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Prompt
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.server.context import ServerContext, tenant_of
from forethought.server.controls import controls_of
from forethought.server.errors import as_api_error, bad_request
from forethought.server.prompts import conversation_prompt, is_plain, question_of, system_of
from forethought.server.schemas.chat_request import ChatRequest, Tool
from forethought.server.schemas.common import SamplingFields
from forethought.server.settings import ServerSettings
from forethought.sessions.live_session import LiveRequest

_SHORT = 4000
"""Characters whose tokenization does not hold up the other requests."""


@dataclass(frozen=True)
class AskedChat:
    """A chat request, ready to run."""

    fields: ChatRequest
    live: LiveRequest
    model: Model | None
    """The model on this machine; None for one of another server."""
    tools: tuple[Tool, ...]
    """The tools that the model may call."""

    @property
    def name(self) -> str:
        """The model's name as the client wrote it."""
        return self.fields.model or self.live.recipe.spelling

    @property
    def choices(self) -> int:
        """The number of answers."""
        return self.fields.n or 1

    @property
    def notes(self) -> list[str]:
        """Notes on fields that have no effect."""
        unused = self.fields.prediction is not None
        return ["the prediction is not used: decoding has no drafted tokens"] if unused else []


async def asked_chat(context: ServerContext, request: Request, fields: ChatRequest) -> AskedChat:
    """The live request of a chat request; raises ApiError."""
    _check_chat(fields)
    context.check_ready()
    recipe = context.recipes.recipe(fields)
    model = context.models.get(recipe.model)
    tools = () if fields.tool_choice == "none" else tuple(fields.tools or ())
    prompt = None if model is None else await _prompt(model, fields, tools)
    if model is None:
        _check_remote(fields)
    stated = fields.max_completion_tokens or fields.max_tokens
    room = None if model is None or prompt is None else model.shape.context - len(prompt)
    most = answer_tokens(context.settings, stated, fields.n or 1, room)
    recipe = context.recipes.sampled(fields, samples=fields.n or 1, max_tokens=most)
    live = LiveRequest(
        name=f"chatcmpl-{uuid.uuid4().hex}",
        recipe=with_logprobs(recipe, fields.top_logprobs or 0, bool(fields.logprobs)),
        question=question_of(fields.messages),
        document=fields.document or "",
        system=system_of(fields.messages),
        prompt=prompt,
        controls=controls_of(fields, thinking_budget=fields.thinking_token_budget),
        tenant=tenant_of(request),
    )
    return AskedChat(fields, live, model, tools)


async def _prompt(model: Model, fields: ChatRequest, tools: tuple[Tool, ...]) -> Prompt:
    def build() -> Prompt:
        return conversation_prompt(
            model,
            fields.messages,
            document=fields.document or "",
            tools=tools,
            thinking=fields.thinking,
            continue_final=bool(fields.continue_final_message),
        )

    length = sum(len(one.text) for one in fields.messages) + len(fields.document or "")
    try:
        return build() if length < _SHORT else await asyncio.to_thread(build)
    except ForethoughtError as error:
        raise as_api_error(error, "messages") from error


def _check_chat(fields: ChatRequest) -> None:
    if fields.top_logprobs and not fields.logprobs:
        raise bad_request("top_logprobs needs logprobs", "set logprobs to true", "top_logprobs")
    if fields.add_generation_prompt is False and not fields.continue_final_message:
        raise bad_request(
            "without a generation prompt no answer begins",
            "leave add_generation_prompt true, or set continue_final_message",
            "add_generation_prompt",
        )
    if fields.continue_final_message and fields.add_generation_prompt:
        raise bad_request(
            "continue_final_message and add_generation_prompt exclude each other",
            "set add_generation_prompt to false",
            "continue_final_message",
        )
    _check_tools(fields)
    check_stream_options(fields)


def _check_tools(fields: ChatRequest) -> None:
    choice, names = fields.tool_choice, [tool.function.name for tool in fields.tools or ()]
    if choice in (None, "none", "auto"):
        return
    if not names:
        raise bad_request("tool_choice needs tools", "send tools", "tool_choice")
    if not isinstance(choice, str) and choice is not None and choice.function.name not in names:
        raise bad_request(
            f"tool_choice names {choice.function.name!r}, which is not among the tools",
            f"use one of {', '.join(names)}",
            "tool_choice",
        )


def check_stream_options(fields: SamplingFields) -> None:
    """Raise ApiError for options of a stream without a stream."""
    if fields.stream_options is not None and not fields.stream:
        raise bad_request("stream_options needs stream", "set stream to true", "stream_options")


def _check_remote(fields: ChatRequest) -> None:
    """Raise ApiError for what cannot be asked of a model on another server."""
    if not is_plain(fields.messages) or fields.tools or fields.continue_final_message:
        raise bad_request(
            "a model on another server answers one question, after a system message at most",
            "send one user message, without tools",
            "messages",
        )


def answer_tokens(
    settings: ServerSettings, stated: int | None, answers: int, room: int | None
) -> int:
    """Maximum tokens of each answer; raises ApiError for more than the server allows.

    Without a stated number the answer may fill the context.
    """
    if answers > settings.max_choices:
        raise bad_request(
            f"the request asks for {answers:,} answers",
            f"ask for {settings.max_choices} at most",
            "n",
        )
    most = min(settings.max_tokens, settings.max_total_tokens // answers)
    if stated is None:
        return max(1, most if room is None else min(most, room))
    if stated > most:
        raise bad_request(
            f"{stated:,} tokens for each of {answers} answers are more than this server allows",
            f"ask for {most:,} at most",
            "max_tokens",
        )
    return max(1, stated)


def with_logprobs(recipe: Recipe, top: int, wanted: bool) -> Recipe:
    """The recipe with the top log-probabilities; raises ApiError for those of a search."""
    if not wanted:
        return recipe
    if recipe.search:
        raise bad_request(
            "a search chooses its answer at the end, so it has no log-probabilities",
            "leave out logprobs, or the search",
            "logprobs",
        )
    return replace(recipe, logprobs=top)
