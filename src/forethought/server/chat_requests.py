"""From a chat request to a live request."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from starlette.requests import Request

from forethought import catalogue
from forethought.contracts.errors import ForethoughtError
from forethought.contracts.records import Prompt
from forethought.models.chat.messages import Message
from forethought.models.chat.openai_messages import chat_messages
from forethought.models.chat.reasoning import reasoning_markers
from forethought.models.chat.tool_calls import ToolUse
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.server.context import ServerContext, tenant_of
from forethought.server.controls import check_grammar, controls_of
from forethought.server.errors import as_api_error, bad_request
from forethought.server.prompts import (
    built,
    check_length,
    conversation_prompt,
    history_of,
    question_of,
    shown_tool,
    system_of,
)
from forethought.server.schemas.chat_request import ChatRequest
from forethought.server.schemas.common import SamplingFields
from forethought.server.settings import ServerSettings
from forethought.sessions.live_session import LiveRequest

PREDICTION = "prediction"
"""The method that drafts from a predicted answer."""
_REMOTE_TOKENS = 1024
"""The usual length of an answer of another server, whose context is not known here."""


@dataclass(frozen=True)
class AskedChat:
    """A chat request, ready to run."""

    fields: ChatRequest
    live: LiveRequest
    model: Model | None
    """The model on this machine; None for one of another server."""
    tools: ToolUse
    """The tools that the model may call, and the format of its calls."""
    default_name: str
    """The recipe's spelling for clients that name no model."""

    @property
    def name(self) -> str:
        """The model's name as the client wrote it."""
        return self.fields.model or self.default_name

    @property
    def choices(self) -> int:
        """The number of answers."""
        return self.fields.n or 1

    @property
    def final_message(self) -> Message | None:
        """The assistant's message that the answer continues."""
        if not self.fields.continue_final_message:
            return None
        return chat_messages([self.fields.messages[-1].model_dump(exclude_none=True)])[0]

    @property
    def notes(self) -> list[str]:
        """Notes on fields that have no effect."""
        found = []
        if self.fields.prediction is not None and PREDICTION not in self.live.recipe.approximate:
            found.append("the prediction is not used: another method drafts, or a server answers")
        if self.fields.thinking_token_budget is not None and not self._thinks:
            found.append("thinking_token_budget has no effect: this model does not think")
        return found

    @property
    def _thinks(self) -> bool:
        model = self.model
        return bool(model and reasoning_markers(model.template, model.tokenizer))


async def asked_chat(context: ServerContext, request: Request, fields: ChatRequest) -> AskedChat:
    """The live request of a chat request; raises ApiError."""
    _check_chat(fields)
    context.check_ready()
    recipe = context.recipes.recipe(fields)
    model = context.models.get(recipe.model)
    if model is None:
        _check_remote(fields)
    tools = ToolUse() if model is None else _tools(model, fields)
    length = sum(len(one.text) for one in fields.messages) + len(fields.document or "")
    if model is not None:
        check_length(context.models, recipe, length)
    prompt = None if model is None else await _prompt(model, fields, tools, length)
    stated = fields.max_completion_tokens or fields.max_tokens
    room = _room(model, prompt, recipe)
    most = answer_tokens(context.settings, stated, fields.n or 1, room)
    recipe = context.recipes.sampled(fields, samples=fields.n or 1, max_tokens=most)
    predicted: tuple[int, ...] = ()
    if fields.prediction is not None and model is not None:
        recipe = with_prediction(recipe)
        predicted = await _predicted(model, fields.prediction.text)
    live = LiveRequest(
        name=f"chatcmpl-{uuid.uuid4().hex}",
        recipe=with_logprobs(recipe, fields.top_logprobs or 0, bool(fields.logprobs)),
        question=question_of(fields.messages),
        document=fields.document or "",
        system=system_of(fields.messages),
        history=history_of(fields.messages) if model is None else (),
        prompt=prompt,
        controls=controls_of(
            fields, calls=tools.grammar, thinking_budget=fields.thinking_token_budget
        ),
        visible=context.models.visible(recipe.model),
        predicted=predicted,
        remarks=context.recipes.remarks(fields, recipe),
        may_run_exact=context.recipes.may_run_exact(fields),
        tenant=tenant_of(request),
    )
    await check_grammar(model, live.controls, fields)
    shown = context.settings.public_text(live.recipe.spelling)
    return AskedChat(fields, live, model, tools, shown)


def with_prediction(recipe: Recipe) -> Recipe:
    """The recipe with drafts from the prediction, where no other method drafts."""
    built = [catalogue.build(name) for name in recipe.approximate]
    if recipe.automatic or any(method.drafts_answers() for method in built):
        return recipe
    return replace(recipe, approximate=(*recipe.approximate, PREDICTION))


async def _predicted(model: Model, text: str) -> tuple[int, ...]:
    """The tokens of a predicted answer."""
    return await built(len(text), lambda: tuple(model.tokenizer.encode(text)))


def _room(model: Model | None, prompt: Prompt | None, recipe: Recipe) -> int:
    """Maximum tokens of an answer whose request states none."""
    if model is None or prompt is None:
        return _REMOTE_TOKENS
    # Methods may shorten the prompt, so only an exact one says what room it leaves.
    return model.shape.context - (0 if recipe.approximate else len(prompt))


def _tools(model: Model, fields: ChatRequest) -> ToolUse:
    choice = fields.tool_choice or "auto"
    parallel = fields.parallel_tool_calls is not False
    try:
        return ToolUse.of(
            model.template,
            [shown_tool(tool) for tool in fields.tools or ()],
            choice if isinstance(choice, str) else choice.model_dump(),
            parallel=parallel,
            tokenizer=model.tokenizer,
        )
    except ForethoughtError as error:
        demanded = choice not in ("none", "auto")
        raise as_api_error(error, "tool_choice" if demanded else "tools") from error


async def _prompt(model: Model, fields: ChatRequest, tools: ToolUse, length: int) -> Prompt:
    def build() -> Prompt:
        return conversation_prompt(
            model,
            fields.messages,
            document=fields.document or "",
            tools=tools.tools,
            thinking=fields.thinking,
            continue_final=bool(fields.continue_final_message),
        )

    try:
        return await built(length, build)
    except ForethoughtError as error:
        raise as_api_error(error, "messages") from error


def _check_chat(fields: ChatRequest) -> None:
    if fields.top_logprobs and not fields.logprobs:
        raise bad_request("top_logprobs needs logprobs", "set logprobs to true", "top_logprobs")
    if fields.add_generation_prompt is False and not fields.continue_final_message:
        raise bad_request(
            "add_generation_prompt is false, so no answer begins",
            "leave add_generation_prompt true, or set continue_final_message",
            "add_generation_prompt",
        )
    if fields.continue_final_message and fields.add_generation_prompt:
        raise bad_request(
            "continue_final_message and add_generation_prompt exclude each other",
            "set add_generation_prompt to false",
            "continue_final_message",
        )
    check_stream_options(fields)


def check_stream_options(fields: SamplingFields) -> None:
    """Raise ApiError for options of a stream without a stream."""
    if fields.stream_options is not None and not fields.stream:
        raise bad_request("stream_options needs stream", "set stream to true", "stream_options")


def _check_remote(fields: ChatRequest) -> None:
    """Raise ApiError for fields that a model on another server does not take."""
    called = any(one.role == "tool" or one.tool_calls for one in fields.messages)
    if fields.tools or called or fields.continue_final_message:
        raise bad_request(
            "tools and continue_final_message need a model on this machine",
            "leave them out, or ask that server itself",
            "messages",
        )
    if fields.logprobs:
        raise bad_request(
            "logprobs needs a model on this machine",
            "leave out logprobs, or ask that server itself",
            "logprobs",
        )
    if fields.messages[-1].role != "user":
        raise bad_request(
            "the last message is not the user's", "end with a message of the user", "messages"
        )


def answer_tokens(settings: ServerSettings, stated: int | None, answers: int, room: int) -> int:
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
        return max(1, min(most, room))
    if stated > most:
        raise bad_request(
            f"the request asks for {stated * answers:,} tokens, {stated:,} for each answer",
            f"ask for {most:,} at most",
            "max_tokens",
        )
    return max(1, stated)


def with_logprobs(recipe: Recipe, top: int, wanted: bool) -> Recipe:
    """The recipe with the top log-probabilities; raises ApiError for those of a search."""
    if not wanted:
        return recipe
    if not recipe.plain:
        raise bad_request(
            "a search chooses its answer at the end, so it has no log-probabilities",
            "leave out logprobs, or the search and its confidence",
            "logprobs",
        )
    return replace(recipe, logprobs=top)
