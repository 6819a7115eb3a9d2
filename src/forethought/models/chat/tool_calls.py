"""Tool calls of an answer: a parser for text that arrives in pieces, and grammars that force one.

`ToolUse.of` holds the choice of a request: the tools that the template shows, the grammar of the
answer and its parser.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forethought.contracts.errors import (
    BadParameterError,
    ConversationRefusedError,
    UnknownNameError,
)
from forethought.models.chat.call_formats import (
    HERMES_OPEN,
    MISTRAL_OPEN,
    PYTHON_TAG,
    CallFormat,
    CallReader,
    HermesReader,
    LlamaReader,
    MistralReader,
    QwenXmlReader,
    WrittenCall,
    call_format,
)
from forethought.models.chat.call_grammars import MARKERS, call_grammar
from forethought.models.chat.message import ToolCall, check_tools
from forethought.models.chat.messages import has_tools
from forethought.models.chat.reasoning import overlap
from forethought.models.tokenization.tokenizer import Tokenizer

Tool = Mapping[str, Any]
"""A function in OpenAI's form: {"type": "function", "function": {"name", "parameters", ...}}."""
_TAGS: dict[CallFormat, str] = {
    "hermes": HERMES_OPEN,
    "qwen-xml": HERMES_OPEN,
    "mistral": MISTRAL_OPEN,
    "llama": PYTHON_TAG,
}
"""The marker before a call."""
_BARE = ("hermes", "llama")
"""Formats whose calls may stand without a marker at the start of an answer: small models forget
the tag."""
_BETWEEN = " \t\r\n;"
"""Characters between calls without a marker."""


@dataclass(frozen=True)
class TextDelta:
    """A further piece of an answer's content."""

    text: str


@dataclass(frozen=True)
class CallDelta:
    """A whole call; calls are numbered from 0."""

    index: int
    call: ToolCall


@dataclass(frozen=True)
class ToolUse:
    """The tools of a request, as its `tool_choice` has them."""

    tools: tuple[Tool, ...] = ()
    """The tools that the template shows."""
    written: CallFormat | None = None
    """The format of calls; None if the answer is content alone."""
    grammar: str = ""
    """A lark grammar for `GenerationControls.grammar`; empty if calls are optional."""

    @classmethod
    def of(
        cls,
        template: str,
        tools: Sequence[Tool],
        choice: str | Mapping[str, Any] = "auto",
        *,
        parallel: bool = True,
        tokenizer: Tokenizer | None = None,
    ) -> ToolUse:
        """The tools under OpenAI's `tool_choice`: none, auto, required or a named function.

        The grammar of a forced call is for this tokenizer.

        Raises BadParameterError for a wrong choice, UnknownNameError for an unknown function, and
        ConversationRefusedError if the model has no tools, or calls in an unknown format.
        """
        check_tools(tuple(tools))
        chosen = _chosen(tools, choice)
        several = parallel and isinstance(choice, str)  # a named function is called once
        if not tools or choice == "none":
            return cls()
        if not has_tools(template):
            raise ConversationRefusedError(
                "this model's chat template has no tools",
                "leave out the tools, or use a model that has them",
            )
        written = call_format(template)
        if written is None:
            raise ConversationRefusedError(
                "this model's chat template writes tool calls in a format that is not supported",
                f"leave out the tools, or use a model that writes {', '.join(_TAGS)}",
            )
        if choice == "auto":
            return cls(tuple(tools), written)
        tokens = {} if tokenizer is None else _marker_tokens(tokenizer)
        grammar = call_grammar(written, chosen, parallel=several, tokens=tokens)
        return cls(tuple(tools), written, grammar)

    def parser(self, request: str) -> ToolCallParser | None:
        """A parser for the answer to a request of this unique name; None without tools."""
        if self.written is None:
            return None
        return ToolCallParser(self.written, self.tools, call_ids(request))


def _marker_tokens(tokenizer: Tokenizer) -> dict[str, int]:
    found = ((text, tokenizer.token_of(text)) for text in MARKERS)
    return {text: token for text, token in found if token is not None}


def _chosen(tools: Sequence[Tool], choice: str | Mapping[str, Any]) -> list[Tool]:
    """The tools that may be called."""
    if isinstance(choice, str):
        if choice not in ("none", "auto", "required"):
            raise BadParameterError(
                f"tool_choice is {choice[:60]!r}", "use none, auto, required or a function's name"
            )
        if choice == "required" and not tools:
            raise BadParameterError("tool_choice is 'required' without tools", "give tools")
        return list(tools)
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, Mapping) else None
    if choice.get("type", "function") != "function" or not isinstance(name, str):
        raise BadParameterError(
            "tool_choice names no function",
            'write {"type": "function", "function": {"name": ...}}',
        )
    found = [tool for tool in tools if tool["function"]["name"] == name]
    if not found:
        known = [tool["function"]["name"] for tool in tools]
        raise UnknownNameError.among("tool", name[:60], known)
    return found


def call_ids(request: str) -> Iterator[str]:
    """The ids of a request's calls: nine letters and digits, as the strictest templates ask."""
    for number in itertools.count():
        yield hashlib.sha256(f"{request}/{number}".encode()).hexdigest()[:9]


class ToolCallParser:
    """Reads tool calls in an answer's content as its text arrives.

    A call is given once it is whole. Text that is no well-formed call of a known function stays
    content. White space before a call, and after the last one, belongs to neither.
    """

    def __init__(self, written: CallFormat, tools: Sequence[Tool], ids: Iterator[str]) -> None:
        self._format: CallFormat = written
        functions = [tool["function"] for tool in tools]
        self._schemas = {one["name"]: one.get("parameters") or {} for one in functions}
        self._ids = ids
        self._held = ""
        self._space = ""
        """White space before the opening marker, which is dropped if a call follows."""
        self._reader: CallReader | None = None
        self._plain = False
        """Whether content has begun, after which calls without a marker are content too."""
        self._called = False
        """Whether no content has come since the last call."""
        self.calls = 0
        """Calls so far."""

    def push(self, text: str) -> list[TextDelta | CallDelta]:
        """The content and the calls that a further piece of text completes."""
        self._held += text
        return self._read(final=False)

    def finish(self) -> list[TextDelta | CallDelta]:
        """The rest: an unfinished call is content."""
        found = self._read(final=True)
        rest, self._held, self._reader = self._space + self._held, "", None
        return found if not rest or (self._called and rest.isspace()) else [*found, TextDelta(rest)]

    def _read(self, *, final: bool) -> list[TextDelta | CallDelta]:
        found: list[TextDelta | CallDelta] = []
        going = True
        while going:
            opened = self._reader is not None
            going = self._call(found, final=final) if opened else self._content(found)
        return found

    def _content(self, found: list[TextDelta | CallDelta]) -> bool:
        """Give the content before the next opening marker; whether there is a marker."""
        place = self._marker()
        if place is None:
            ready = len(self._held) - self._waiting()
            self._give(found, self._held[:ready])
            self._held = self._held[ready:]
            return False
        before, self._held = self._held[:place], self._held[place:]
        text = before.rstrip(_BETWEEN if self._may_be_bare else None)
        self._space = before[len(text) :]
        self._give(found, text)
        self._reader = self._new_reader()
        return True

    def _give(self, found: list[TextDelta | CallDelta], text: str) -> None:
        if text:
            found.append(TextDelta(text))
            self._plain, self._called = True, False

    def _marker(self) -> int | None:
        """The place of the next opening marker."""
        text = self._held.lstrip(_BETWEEN)
        tag = _TAGS[self._format]
        if self._may_be_bare and text.startswith(("{", tag)):
            return len(self._held) - len(text)
        place = -1 if self._format == "llama" else self._held.find(tag)
        return place if place >= 0 else None

    @property
    def _may_be_bare(self) -> bool:
        """Whether a call may begin without a marker: no content has come yet."""
        return self._format in _BARE and not self._plain

    def _waiting(self) -> int:
        """Characters at the end that may belong to a marker, or stand before one."""
        tag, text = _TAGS[self._format], self._held.lstrip(_BETWEEN)
        if self._may_be_bare and tag.startswith(text):
            return len(self._held)
        if self._format == "llama":
            return 0
        part = overlap(self._held, tag)
        before = self._held[: len(self._held) - part]
        return len(self._held) - len(before.rstrip())

    def _new_reader(self) -> CallReader:
        if self._held.startswith("{"):
            return LlamaReader()
        match self._format:
            case "hermes":
                return HermesReader()
            case "llama":
                return LlamaReader()
            case "mistral":
                return MistralReader()
            case "qwen-xml":
                return QwenXmlReader(self._schemas)

    def _call(self, found: list[TextDelta | CallDelta], *, final: bool) -> bool:
        """Give the calls after an opening marker; whether they are whole, or none."""
        assert self._reader is not None, "a marker was found"
        read = self._reader.read(self._held, final=final)
        if read is None:
            return False
        text, self._held = self._held[: read.used], self._held[read.used :]
        space, self._space, self._reader = self._space, "", None
        if read.calls and all(call.name in self._schemas for call in read.calls):
            found += [self._delta(call) for call in read.calls]
        else:
            self._give(found, space + text)
        return True

    def _delta(self, call: WrittenCall) -> CallDelta:
        self.calls += 1
        self._called = True
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        if not _encodable(arguments):
            arguments = json.dumps(call.arguments)
        return CallDelta(self.calls - 1, ToolCall(next(self._ids), call.name, arguments))


def _encodable(text: str) -> bool:
    """Whether UTF-8 can hold the text: JSON may name half a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
