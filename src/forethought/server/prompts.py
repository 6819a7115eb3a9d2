"""Prompts of requests: conversations through the chat template, and raw texts or token ids."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from forethought.contracts.errors import PromptTooLongError, UsageError
from forethought.contracts.records import Prompt
from forethought.models.chat.message import Message
from forethought.models.chat.messages import messages_prompt
from forethought.models.chat.openai_messages import chat_messages
from forethought.models.model import Model
from forethought.prefill.plan import takes_any_length
from forethought.recipes.recipe import Recipe
from forethought.server.errors import as_api_error, bad_request
from forethought.server.schemas.chat_request import ChatMessage, Tool
from forethought.server.served_models import ServedModels
from forethought.server.token_texts import decoded, encoded
from forethought.sessions.session import built_methods

_JOINT = "\n\n"
_SHORT = 4000
"""Characters whose tokenization does not hold up the other requests."""
_LONG = 100_000
"""Characters whose tokenization takes much longer than that of most prompts."""
T = TypeVar("T")


def conversation_prompt(
    model: Model,
    messages: Sequence[ChatMessage],
    *,
    document: str = "",
    tools: Sequence[Mapping[str, Any]] = (),
    thinking: bool | None = None,
    continue_final: bool = False,
) -> Prompt:
    """The prompt of a conversation; raises UsageError for one that the template cannot show."""
    return messages_prompt(
        model.tokenizer,
        model.template,
        chat_messages([one.model_dump(exclude_none=True) for one in messages]),
        document=document,
        tools=tools,
        thinking=thinking,
        continue_final=continue_final,
    )


def shown_tool(tool: Tool) -> Mapping[str, Any]:
    """A tool as templates show it."""
    function = tool.function
    parameters = function.parameters or {"type": "object", "properties": {}}
    described = {"description": function.description or "", "parameters": parameters}
    return {"type": "function", "function": {"name": function.name, **described}}


def raw_prompt(
    model: Model, given: str | Sequence[int], *, document: str = "", special: bool = True
) -> Prompt:
    """The prompt of a completion. Methods may shorten its document, or else all of it."""
    if isinstance(given, str):
        text = f"{document}{_JOINT}{given}" if document else given
        tokens, spans = encoded(model.tokenizer, text, special=special)
    elif document:
        raise UsageError("a document stands before a text", "send the prompt as text")
    else:
        check_tokens(model, given)
        tokens = list(given)
        text, spans = decoded(model.tokenizer, tokens)
    if not tokens and model.tokenizer.bos is not None:
        tokens, spans = [model.tokenizer.bos], [(0, 0)]
    if not tokens:
        raise bad_request("the prompt is empty", "send some text", "prompt")
    whole = (0, len(text))
    free = (0, len(document)) if document else whole
    kept = frozenset(i for i, (start, stop) in enumerate(spans) if start == stop or stop > free[1])
    return Prompt(tuple(tokens), tuple(spans), text, protected=kept, content=whole)


async def built(characters: int, build: Callable[[], T]) -> T:
    """What `build` makes of a text, without holding up other requests."""
    if characters < _SHORT:
        return build()
    pool = _long_texts() if characters > _LONG else None
    return await asyncio.get_running_loop().run_in_executor(pool, build)


@cache
def _long_texts() -> ThreadPoolExecutor:
    """A thread of its own: long texts wait for each other, and others do not wait for them."""
    return ThreadPoolExecutor(1, thread_name_prefix="long-text")


def check_length(models: ServedModels, recipe: Recipe, characters: int) -> None:
    """Raise ApiError for a text that cannot fit the context, before it takes time to tokenize.

    A text may be longer if methods shorten it before any model reads it.
    """
    if recipe.automatic or takes_any_length(built_methods(recipe)):
        return
    model = models.named(recipe.model)
    reading = [one for one in (model, models.get(recipe.draft)) if one is not None]
    if characters > max(one.shape.context * one.tokenizer.longest for one in reading):
        raise as_api_error(
            PromptTooLongError(
                f"a text of {characters:,} characters has more than the {model.shape.context:,} "
                f"tokens that {model.name} holds",
                "shorten it, or name a method such as truncate or specpc-shallow",
            )
        )


def check_tokens(model: Model, tokens: Sequence[int]) -> None:
    """Raise UsageError for a token id that the model does not have."""
    size = min(model.shape.vocabulary, model.tokenizer.vocabulary_size)
    if (largest := max(tokens, default=0)) >= size:
        raise UsageError(
            f"token {largest:,} is not in the vocabulary of {size:,} tokens",
            f"use token ids from 0 to {size - 1:,}",
        )


def question_of(messages: Sequence[ChatMessage]) -> str:
    """The last message of the user."""
    return next((one.text for one in reversed(messages) if one.role == "user"), "")


def system_of(messages: Sequence[ChatMessage]) -> str | None:
    """The system message at the start; None without one."""
    first = messages[0]
    return first.text if first.role in ("system", "developer") else None


def history_of(messages: Sequence[ChatMessage]) -> tuple[Message, ...]:
    """The messages between the system message and the last one, which is the user's."""
    first = 0 if system_of(messages) is None else 1
    return tuple(chat_messages([one.model_dump(exclude_none=True) for one in messages[first:-1]]))


def as_user(text: str) -> list[ChatMessage]:
    """A conversation of one question."""
    return [ChatMessage(role="user", content=text)]
