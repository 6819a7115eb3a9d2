"""Prompts from chat messages: any conversation, with tools and reasoning, as tokens.

Control tokens are recognised only in text that the template wrote: a message, a tool's schema or
a tool's result cannot contain one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from forethought.contracts.errors import ConversationRefusedError, UsageError
from forethought.contracts.records import Prompt
from forethought.models.chat.conversation_forms import (
    JOINT,
    ConversationForm,
    Turn,
    forms,
    placeholder_values,
    values,
)
from forethought.models.chat.layout import Layout, Placeholders
from forethought.models.chat.message import Message, ToolCall, check_order, check_tools
from forethought.models.chat.reasoning import reasoning_markers, split_reasoning
from forethought.models.chat.template import render_messages
from forethought.models.tokenization.tokenizer import Span, Tokenizer

__all__ = ["Message", "ToolCall", "has_tools", "messages_prompt"]

_TOOLS = re.compile(r"\{[{%][^{}]*\btools\b")
_NO_TOOLS = "this model's chat template has no tools"


def has_tools(template: str) -> bool:
    """Whether a chat template shows the definitions of tools."""
    return _TOOLS.search(template) is not None


def messages_prompt(
    tokenizer: Tokenizer,
    template: str,
    messages: Sequence[Message],
    *,
    document: str = "",
    tools: Sequence[Mapping[str, Any]] = (),
    thinking: bool | None = None,
    continue_final: bool = False,
) -> Prompt:
    """The prompt of a conversation, up to the start of the next answer.

    `document` stands before the text of the first user's message, so that it stays in its place as
    the conversation grows. Methods may shorten documents,
    results of tools and the user's earlier messages; without any of them, the last user's message.
    All other tokens are protected. With `continue_final` the prompt ends inside the assistant's
    last message. Without a template the prompt is the messages' plain text, after a BOS token if
    the model expects one.

    Raises UsageError for messages in an impossible order, ConversationRefusedError if the template
    refuses them, has no tools or does not show a message, and UnsupportedModelError for an
    unusable template.
    """
    turns = _turns(template, messages, document)
    check_order(tuple(turn.message for turn in turns), continue_final=continue_final)
    check_tools(tuple(tools))
    _check_tools_shown(template, turns, tools)
    conversation = conversation_layout(
        tokenizer, template, turns, tools, thinking=thinking, continue_final=continue_final
    )
    return _prompt(tokenizer, template, conversation, document)


def _turns(template: str, messages: Sequence[Message], document: str) -> tuple[Turn, ...]:
    """The messages with the document in its place and with reasoning apart from content."""
    found = [Turn(_with_reasoning(template, message)) for message in messages]
    if document:
        place = _users(found)[:1]
        if not place:
            raise UsageError(
                "a document is given, but no user's message asks about it",
                "add a message of the user, or leave out the document",
            )
        message = found[place[0]].message
        found[place[0]] = Turn(replace(message, content=f"{document}{JOINT}{message.content}"))
    return tuple(found)


def _with_reasoning(template: str, message: Message) -> Message:
    """An assistant's message with its reasoning apart, if its text holds both."""
    markers = reasoning_markers(template)
    if message.role != "assistant" or message.reasoning or markers is None:
        return message
    reasoning, content = split_reasoning(message.content, markers)
    return replace(message, content=content, reasoning=reasoning) if content else message


def _users(turns: Sequence[Turn]) -> list[int]:
    """The places of the user's messages."""
    return [i for i, turn in enumerate(turns) if turn.message.role == "user"]


def _check_tools_shown(
    template: str, turns: Sequence[Turn], tools: Sequence[Mapping[str, Any]]
) -> None:
    called = any(turn.message.tool_calls or turn.message.role == "tool" for turn in turns)
    if (tools or called) and not has_tools(template):
        raise ConversationRefusedError(
            _NO_TOOLS, "leave out the tools and their messages, or use a model that has them"
        )


@dataclass(frozen=True)
class ConversationLayout:
    """A rendered conversation, and where its messages stand."""

    layout: Layout
    turns: tuple[Turn, ...]
    contents: tuple[int | None, ...]
    """The number of each message's text in `layout.places`; None without text."""
    notes: tuple[str, ...] = ()

    def range_of(self, turn: int, first: int = 0, last: int | None = None) -> Span:
        """The place of a part of a message's own text."""
        number, shown = self.contents[turn], self.turns[turn]
        assert number is not None, "only an assistant's text may be empty"
        stop = len(shown.message.content) if last is None else shown.begins + last
        return self.layout.places[number].range_of(shown.begins + first, stop)


def conversation_layout(
    tokenizer: Tokenizer,
    template: str,
    turns: tuple[Turn, ...],
    tools: Sequence[Mapping[str, Any]] = (),
    *,
    thinking: bool | None = None,
    continue_final: bool = False,
) -> ConversationLayout:
    """Render a conversation in the first form that the template accepts."""
    if not template:
        return _plain_layout(turns)
    refusal: ConversationRefusedError | None = None
    for form in forms(turns, tuple(tools)):
        try:
            return _rendered(tokenizer, template, form, thinking, continue_final)
        except ConversationRefusedError as error:
            refusal = refusal or error
    assert refusal is not None, "there is one form at least"
    raise refusal


def _plain_layout(turns: tuple[Turn, ...]) -> ConversationLayout:
    """The texts of the messages alone, for a model without a template."""
    texts = Placeholders()
    shown = [t.message.role == "user" or bool(t.message.content) for t in turns]
    pieces = [texts.add(t.message.content) for t, told in zip(turns, shown, strict=True) if told]
    numbers = iter(range(len(pieces)))
    contents = tuple(next(numbers) if told else None for told in shown)
    found = texts.unchanged(JOINT.join(pieces))
    return ConversationLayout(Layout(found.text, (), found.places), turns, contents)


def _rendered(
    tokenizer: Tokenizer,
    template: str,
    form: ConversationForm,
    thinking: bool | None,
    continue_final: bool,
) -> ConversationLayout:
    names = {"bos": tokenizer.text_of(tokenizer.bos), "eos": tokenizer.text_of(tokenizer.end)}
    settings = {} if thinking is None else {"enable_thinking": thinking, "thinking": thinking}
    asks = not continue_final
    true = values(form, template)
    wanted = render_messages(
        template, true.messages, names, asks=asks, tools=true.tools, settings=settings
    )
    marked, numbers = placeholder_values(form, template, _control_texts(tokenizer, form))
    skeleton = render_messages(
        template, marked.messages, names, asks=asks, tools=marked.tools, settings=settings
    )
    _check_shown(form.turns, numbers.contents, skeleton, numbers.placeholders)
    layout = numbers.placeholders.layout(skeleton, wanted)
    if continue_final:
        number = numbers.contents[-1]
        number = numbers.reasoning[-1] if number is None else number
        layout = _cut_after(layout, number)
    return ConversationLayout(layout, form.turns, tuple(numbers.contents), form.notes)


def _control_texts(tokenizer: Tokenizer, form: ConversationForm) -> frozenset[str]:
    """The control tokens' texts, if the conversation holds schemas or arguments."""
    if not form.tools and not any(turn.message.tool_calls for turn in form.turns):
        return frozenset()
    return frozenset(map(tokenizer.text_of, tokenizer.control_tokens))


def _check_shown(
    turns: Sequence[Turn], contents: Sequence[int | None], skeleton: str, texts: Placeholders
) -> None:
    """Raise ConversationRefusedError unless the user's and the tools' messages are shown once."""
    for turn, number in zip(turns, contents, strict=True):
        role = turn.message.role
        if role in ("user", "tool") and number is not None and texts.count(skeleton, number) != 1:
            raise ConversationRefusedError(
                f"the model's chat template does not show the {role}'s message exactly once",
                "use another model, or one with another template",
            )


def _cut_after(layout: Layout, number: int | None) -> Layout:
    """The layout up to the end of a text, which the answer continues."""
    if number not in layout.places:
        raise ConversationRefusedError(
            "the model's chat template does not show the assistant's last message",
            "leave out continue_final_message",
        )
    return layout.until(layout.places[number].span[1])


def _prompt(
    tokenizer: Tokenizer, template: str, conversation: ConversationLayout, document: str
) -> Prompt:
    layout = conversation.layout
    tokens, spans = tokenizer.encode_with_spans(layout.text, layout.trusted)
    if not template and tokenizer.add_bos and tokenizer.bos is not None:
        tokens, spans = [tokenizer.bos, *tokens], [(0, 0), *spans]
    free, content = _free_ranges(conversation, document)
    return Prompt(
        tokens=tuple(tokens),
        spans=tuple(spans),
        text=layout.text,
        protected=_outside(spans, free),
        content=content,
        notes=conversation.notes,
    )


def _free_ranges(conversation: ConversationLayout, document: str) -> tuple[list[Span], Span]:
    """The ranges that methods may shorten, and the range of the user's texts."""
    users = _users(conversation.turns)
    if not users:
        return [], (0, 0)
    first, last = users[0], users[-1]
    free = [
        conversation.range_of(i)
        for i, turn in enumerate(conversation.turns)
        if turn.message.role == "tool" or (turn.message.role == "user" and i != last)
    ]
    question = conversation.range_of(last)
    if document and first == last:
        free.append(conversation.range_of(last, 0, len(document)))
    free = sorted(free) or [question]
    whole = [*free, question]
    return free, (min(start for start, _ in whole), max(stop for _, stop in whole))


def _outside(spans: Sequence[Span], free: Sequence[Span]) -> frozenset[int]:
    """The tokens that are not wholly inside one of these ranges."""
    inside: set[int] = set()
    for first, last in free:
        low = bisect_left(spans, first, key=lambda span: span[0])
        high = bisect_right(spans, last, key=lambda span: span[1])
        inside.update(i for i in range(low, high) if spans[i][0] < spans[i][1])
    return frozenset(range(len(spans))) - inside
