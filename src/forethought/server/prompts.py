"""Prompts of requests: conversations through the chat template, and raw texts or token ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forethought.contracts.errors import PromptTooLongError, UsageError
from forethought.contracts.records import Prompt
from forethought.models.chat.message import Message
from forethought.models.chat.messages import messages_prompt
from forethought.models.chat.openai_messages import chat_messages
from forethought.models.model import Model
from forethought.server.errors import as_api_error, bad_request
from forethought.server.schemas.chat_request import ChatMessage, Tool
from forethought.server.token_texts import decoded, encoded

_JOINT = "\n\n"


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


def check_length(model: Model, characters: int, *, shortened: bool) -> None:
    """Raise ApiError for a text that cannot fit the context, before it takes time to tokenize.

    A text that methods shorten may be longer.
    """
    most = model.shape.context * model.tokenizer.longest
    if not shortened and characters > most:
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
