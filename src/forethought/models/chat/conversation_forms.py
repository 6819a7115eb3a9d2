"""The forms in which a conversation can be put to a chat template, the plainest first.

Templates differ: some have no system role, some take the arguments of a call as text, and some
read reasoning under another name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from forethought.models.chat.call_formats import json_object
from forethought.models.chat.layout import Placeholders
from forethought.models.chat.message import Message, ToolCall

JOINT = "\n\n"
_SYSTEM = ("system", "developer")
_REASONING = {
    "reasoning_content": re.compile(r"\breasoning_content\b"),
    "reasoning": re.compile(r"(\.|\[['\"]|get\(['\"])reasoning\b"),
    "thinking": re.compile(r"(\.|\[['\"]|get\(['\"])thinking\b"),
}
"""Names under which templates read an assistant's reasoning."""
_NINE = re.compile(r"length\s*(!=|==|<|>=)\s*9\b")
"""Some templates want ids of nine letters and digits."""
_PLAIN = re.compile(r"[A-Za-z0-9_$.-]{0,64}")
"""Strings that a template may compare, as types and names in schemas; no control token is one."""


@dataclass(frozen=True)
class Turn:
    """A message, and where its own text begins: a system prompt may stand before it."""

    message: Message
    begins: int = 0


@dataclass(frozen=True)
class ConversationForm:
    """A conversation as it is put to a template."""

    turns: tuple[Turn, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    arguments_as_text: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TemplateValues:
    """The variables `messages` and `tools` of a template."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]


@dataclass
class Skeleton:
    """The variables of a template with placeholders, and the number of each message's text."""

    placeholders: Placeholders = field(default_factory=Placeholders)
    contents: list[int | None] = field(default_factory=list)
    """By message; None for an empty text that has no placeholder."""
    reasoning: list[int | None] = field(default_factory=list)


def forms(
    turns: tuple[Turn, ...], tools: tuple[Mapping[str, Any], ...]
) -> Iterator[ConversationForm]:
    """The forms of a conversation that a template may accept."""
    written = any(turn.message.tool_calls for turn in turns)
    for shown, notes in _system_forms(turns):
        for as_text in (False, True) if written else (False,):
            yield ConversationForm(shown, tools, as_text, notes)


def _system_forms(
    turns: tuple[Turn, ...],
) -> Iterator[tuple[tuple[Turn, ...], tuple[str, ...]]]:
    """The system prompt in its own messages, in one, and in the user's message."""
    yield turns, ()
    count = next((i for i, t in enumerate(turns) if t.message.role not in _SYSTEM), len(turns))
    if count > 1:
        text = JOINT.join(turn.message.content for turn in turns[:count])
        yield (Turn(Message("system", text)), *turns[count:]), ()
    if (merged := _merged(turns)) is not None:
        yield merged, ("the chat template has no system role: the user's message begins with it",)


def _merged(turns: Sequence[Turn]) -> tuple[Turn, ...] | None:
    """Each system prompt before the text of the next user's message; None if none follows."""
    found: list[Turn] = []
    waiting: list[str] = []
    for turn in turns:
        message = turn.message
        if message.role in _SYSTEM:
            waiting.append(message.content)
        elif message.role == "user" and waiting:
            before = "".join(f"{text}{JOINT}" for text in waiting)
            changed = replace(message, content=before + message.content)
            found.append(Turn(changed, len(before)))
            waiting = []
        else:
            found.append(turn)
    return None if waiting or len(found) == len(turns) else tuple(found)


def values(form: ConversationForm, template: str) -> TemplateValues:
    """The template's variables with the caller's texts."""
    write = _Writer(template, form.arguments_as_text, str, str)
    return TemplateValues(
        [write.message(turn.message) for turn in form.turns], [write.data(t) for t in form.tools]
    )


def placeholder_values(
    form: ConversationForm, template: str, control: frozenset[str]
) -> tuple[TemplateValues, Skeleton]:
    """The template's variables with placeholders for texts that may look like control tokens."""
    skeleton = Skeleton()
    add, add_quoted = skeleton.placeholders.add, skeleton.placeholders.add_quoted

    def leaf(text: str) -> str:
        return text if _PLAIN.fullmatch(text) and text not in control else add_quoted(text)

    write = _Writer(template, form.arguments_as_text, add, leaf)
    listed = []
    for turn in form.turns:
        message, first = turn.message, len(skeleton.placeholders.texts)
        shown = _always_shown(message) or bool(message.content)
        skeleton.contents.append(first if shown else None)
        skeleton.reasoning.append(first + shown if message.reasoning else None)
        listed.append(write.message(message))
    return TemplateValues(listed, [write.data(tool) for tool in form.tools]), skeleton


def _always_shown(message: Message) -> bool:
    return message.role != "assistant"


@dataclass(frozen=True)
class _Writer:
    """Writes messages and schemas in the form that a template reads."""

    template: str
    arguments_as_text: bool
    text: Callable[[str], str]
    """Writes a message's text."""
    leaf: Callable[[str], str]
    """Writes a string inside JSON."""

    def message(self, message: Message) -> dict[str, Any]:
        shown = _always_shown(message) or bool(message.content)
        content = self.text(message.content) if shown else ""
        found: dict[str, Any] = {"role": self._role(message), "content": content}
        if message.reasoning:
            reasoning = self.text(message.reasoning)
            names = [name for name, read in _REASONING.items() if read.search(self.template)]
            found |= dict.fromkeys(names, reasoning)
        if message.name:
            found["name"] = message.name
        if message.tool_calls:
            found["tool_calls"] = [self._call(call) for call in message.tool_calls]
        if message.tool_call_id:
            found["tool_call_id"] = self._id(message.tool_call_id)
        return found

    def data(self, value: Any) -> Any:
        """A value of JSON, with its strings and keys as leaves."""
        if isinstance(value, str):
            return self.leaf(value)
        if isinstance(value, Mapping):
            return {self.leaf(str(key)): self.data(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(one) for one in value]
        return value

    def _role(self, message: Message) -> str:
        known = message.role != "developer" or "developer" in self.template
        return message.role if known else "system"

    def _call(self, call: ToolCall) -> dict[str, Any]:
        parsed = None if self.arguments_as_text else json_object(call.arguments)
        arguments = self.text(call.arguments) if parsed is None else self.data(parsed)
        function = {"name": call.name, "arguments": arguments}
        return {"id": self._id(call.id), "type": "function", "function": function}

    def _id(self, text: str) -> str:
        fits = re.fullmatch("[A-Za-z0-9]{9}", text) or not _NINE.search(self.template)
        return text if fits else hashlib.sha256(text.encode()).hexdigest()[:9]
