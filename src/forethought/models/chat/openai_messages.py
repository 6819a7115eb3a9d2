"""Messages and tools from the JSON of OpenAI's chat API; text models take no images or sound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from forethought.contracts.errors import BadParameterError
from forethought.models.chat.message import Message, Role, ToolCall

_TEXTS = ("text", "input_text", "output_text", "refusal")
"""Types of content parts that hold text."""


def chat_messages(listed: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """The messages of a request; BadParameterError names the first that is wrong."""
    return tuple(_message(n, one) for n, one in enumerate(listed))


def _message(number: int, given: Mapping[str, Any]) -> Message:
    with BadParameterError.named(f"messages[{number}]"):
        return Message(
            cast(Role, _string(given, "role")),  # the message checks it
            content_text(given.get("content")),
            _string(given, "name"),
            _string(given, "reasoning_content") or _string(given, "reasoning"),
            tuple(_call(call) for call in given.get("tool_calls") or ()),
            _string(given, "tool_call_id"),
        )


def content_text(content: Any) -> str:
    """The text of a message's content: a string, or a list of parts, joined by line breaks."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list | tuple):
        raise BadParameterError("the content is no text", "write a string or a list of text parts")
    return "\n".join(map(_part_text, content))


def _part_text(part: Any) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind not in _TEXTS:
        raise BadParameterError(
            f"a content part has the type {str(kind)[:60]!r}",
            "send text: this model reads no other",
        )
    text = part.get("refusal" if kind == "refusal" else "text")
    if not isinstance(text, str):
        raise BadParameterError(f"a content part of type {kind} holds no text", "give its text")
    return text


def _call(given: Any) -> ToolCall:
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(function, Mapping):
        raise BadParameterError(
            "a tool call names no function",
            'write {"id": ..., "type": "function", "function": {"name": ..., "arguments": ...}}',
        )
    arguments = function.get("arguments", "{}")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(_string(given, "id"), _string(function, "name"), text)


def _string(given: Mapping[str, Any], key: str) -> str:
    found = given.get(key)
    if found is not None and not isinstance(found, str):
        raise BadParameterError(f"{key} is no text", "write a string")
    return found or ""
