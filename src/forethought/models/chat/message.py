"""Messages of a chat, as OpenAI's API has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from forethought.contracts.errors import BadParameterError, UsageError

Role = Literal["system", "developer", "user", "assistant", "tool"]
ROLES: tuple[str, ...] = get_args(Role)
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
# Templates write names and ids among their control tokens, so these hold no special characters.
_DEPTH = 64
"""Nested values of a tool's schema."""


@dataclass(frozen=True)
class ToolCall:
    """A call of a function, as the model wrote it."""

    id: str
    name: str
    arguments: str
    """A JSON object as text."""

    def __post_init__(self) -> None:
        check_name("the id of a tool call", self.id)
        check_name("the name of a called function", self.name)


@dataclass(frozen=True)
class Message:
    """A message: its role, its text, and the tool calls that it holds or answers."""

    role: Role
    content: str = ""
    name: str = ""
    """The participant, or the function that answers; may be empty."""
    reasoning: str = ""
    """The reasoning before an assistant's content."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    """The call that a tool's message answers."""

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise BadParameterError(
                f"a message has the role {str(self.role)[:60]!r}", f"use one of {', '.join(ROLES)}"
            )
        if self.role != "assistant" and (self.tool_calls or self.reasoning):
            raise BadParameterError(
                f"a message of the role {self.role} holds tool calls or reasoning",
                "only the assistant's messages may hold them",
            )
        for what, text in (("name", self.name), ("tool_call_id", self.tool_call_id)):
            if text:
                check_name(f"the {what} of a message", text)


def check_name(what: str, text: str) -> None:
    """Raise BadParameterError unless the text is an identifier."""
    if not _NAME.fullmatch(text):
        raise BadParameterError(
            f"{what} is {text[:60]!r}", "use 1 to 128 letters, digits, and the characters _ . : -"
        )


def check_tools(tools: tuple[Mapping[str, Any], ...]) -> None:
    """Raise BadParameterError unless each tool is a function with a name, in OpenAI's form."""
    names = set()
    for tool in tools:
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise BadParameterError(
                "a tool is no function with a name",
                'write {"type": "function", "function": {"name": ..., "parameters": {...}}}',
            )
        check_name("the name of a tool", function["name"])
        if function["name"] in names:
            raise BadParameterError(
                f"two tools are called {function['name']!r}", "give each its own name"
            )
        names.add(function["name"])
        _check_depth(tool, _DEPTH)


def _check_depth(value: Any, left: int) -> None:
    if not left:
        raise BadParameterError(
            f"a tool's schema nests more than {_DEPTH} deep", "write a flatter schema"
        )
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            _check_depth(one, left - 1)


def check_order(messages: tuple[Message, ...], *, continue_final: bool) -> None:
    """Raise UsageError for a conversation that no template can show."""
    if not messages:
        raise UsageError("a chat has no messages", "give one message at least")
    calls: set[str] = set()
    for message in messages:
        calls |= {call.id for call in message.tool_calls}
        if message.role == "tool" and message.tool_call_id not in calls:
            raise UsageError(
                f"a tool's message answers the call {message.tool_call_id!r}, which no earlier "
                "message made",
                "put the assistant's message with that tool call before it",
            )
    if continue_final and messages[-1].role != "assistant":
        raise UsageError(
            f"the last message is the {messages[-1].role}'s, so there is no answer to continue",
            "end the messages with the assistant's, or leave out continue_final_message",
        )
