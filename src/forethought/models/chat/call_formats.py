"""The formats in which models write tool calls, each read once its text is whole.

A reader gets the text from the opening marker on, again with every piece that arrives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

CallFormat = Literal["hermes", "llama", "mistral", "qwen-xml"]
HERMES_OPEN, HERMES_CLOSE = "<tool_call>", "</tool_call>"
MISTRAL_OPEN, PYTHON_TAG = "[TOOL_CALLS]", "<|python_tag|>"
_NAMED = re.compile(r"\s*([A-Za-z0-9_.:-]{1,128})(?:\[CALL_ID\][A-Za-z0-9]{1,64})?(?:\[ARGS\])?\s*")
_NAMED_SO_FAR = re.compile(r"\s*[A-Za-z0-9_.:\-\[\]]{1,256}\s*")
_FUNCTION, _PARAMETER = "<function=", "<parameter="
_FUNCTION_END, _PARAMETER_END = "</function>", "</parameter>"


def call_format(template: str) -> CallFormat | None:
    """The format that a chat template shows; None if it shows none of these."""
    if MISTRAL_OPEN in template:
        return "mistral"
    if HERMES_OPEN in template:
        if _FUNCTION in template:
            return "qwen-xml"
        return "hermes" if "arguments" in template and "<arg_key>" not in template else None
    if PYTHON_TAG in template or ("ipython" in template and '"parameters"' in template):
        return "llama"
    return None


class WrittenCall(NamedTuple):
    """A call as a model wrote it."""

    name: str
    arguments: dict[str, Any]


class ReadText(NamedTuple):
    """The calls at the start of a text, none if it is malformed, and the characters they take."""

    calls: list[WrittenCall]
    used: int


class CallReader(Protocol):
    """Reads one opening marker and the calls after it."""

    def read(self, text: str, *, final: bool) -> ReadText | None:
        """The calls; None while more text is needed. `final` says that none will come."""
        ...


@dataclass
class JsonScan:
    """Finds the end of a JSON object or array in a text that grows."""

    place: int
    """The next character to look at, at first the opening bracket."""
    _depth: int = 0
    _quoted: bool = False

    def end(self, text: str) -> int | None:
        """The character after the closing bracket; None if it has not come yet."""
        while self.place < len(text):
            sign = text[self.place]
            if self._quoted and sign == "\\":
                if self.place + 1 == len(text):
                    return None
                self.place += 1
            elif sign == '"':
                self._quoted = not self._quoted
            elif not self._quoted and sign in "{[":
                self._depth += 1
            elif not self._quoted and sign in "}]":
                self._depth -= 1
            self.place += 1
            if not self._depth:
                return self.place
        return None


class _JsonAfter:
    """A JSON value that follows a prefix of the text."""

    def __init__(self) -> None:
        self._scan: JsonScan | None = None
        self._end: int | None = None

    def end(self, text: str, start: int) -> int | None:
        self._scan = self._scan or JsonScan(start)
        if self._end is None:
            self._end = self._scan.end(text)
        return self._end


class HermesReader(_JsonAfter):
    """`<tool_call>{"name": ..., "arguments": {...}}</tool_call>`."""

    def read(self, text: str, *, final: bool) -> ReadText | None:
        """The call; a missing closing tag is forgiven."""
        start = _past_space(text, len(HERMES_OPEN))
        if start == len(text):
            return None
        end = self.end(text, start) if text[start] == "{" else len(HERMES_OPEN)
        if end is None:
            return None
        call = written_call(text[start:end])
        if call is None:
            return ReadText([], end)
        rest = text[end:].lstrip()
        if HERMES_CLOSE.startswith(rest) and rest != HERMES_CLOSE and not final:
            return None
        close = _past_space(text, end) + len(HERMES_CLOSE)
        return ReadText([call], close if rest.startswith(HERMES_CLOSE) else end)


class LlamaReader(_JsonAfter):
    """`{"name": ..., "parameters": {...}}`, perhaps after `<|python_tag|>`."""

    def read(self, text: str, *, final: bool) -> ReadText | None:
        """The call; built-in tools that are called as Python code are no calls of ours."""
        tag = len(PYTHON_TAG) if text.startswith(PYTHON_TAG) else 0
        start = _past_space(text, tag)
        if start == len(text):
            return None
        end = self.end(text, start) if text[start] == "{" else max(tag, 1)
        if end is None:
            return None
        call = written_call(text[start:end])
        return ReadText([] if call is None else [call], end)


class MistralReader(_JsonAfter):
    """`[TOOL_CALLS][{"name": ..., "arguments": {...}}, ...]` or `[TOOL_CALLS]name[ARGS]{...}`."""

    def read(self, text: str, *, final: bool) -> ReadText | None:
        """All calls of the array, or the one that is named."""
        opened = len(MISTRAL_OPEN)
        start = _past_space(text, opened)
        if start == len(text):
            return None
        if text[start] == "[":
            end = self.end(text, start)
            return None if end is None else ReadText(_calls(text[start:end]), end)
        named = _NAMED.match(text, opened)
        if named is None or text[named.end() : named.end() + 1] != "{":
            waits = _NAMED_SO_FAR.fullmatch(text, opened) is not None
            return None if waits else ReadText([], opened)
        end = self.end(text, named.end())
        if end is None:
            return None
        arguments = json_object(text[named.end() : end])
        return ReadText([] if arguments is None else [WrittenCall(named[1], arguments)], end)


class QwenXmlReader:
    """`<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`."""

    def __init__(self, schemas: Mapping[str, Mapping[str, Any]]) -> None:
        self._schemas = schemas

    def read(self, text: str, *, final: bool) -> ReadText | None:
        """The call; a value is text if the schema says so, else JSON if it can be read as such."""
        end = text.find(HERMES_CLOSE)
        if end < 0:
            return None
        used = end + len(HERMES_CLOSE)
        body = text[len(HERMES_OPEN) : end].strip()
        if not body.startswith(_FUNCTION) or not body.endswith(_FUNCTION_END):
            return ReadText([], used)
        head, found, rest = body[len(_FUNCTION) : -len(_FUNCTION_END)].partition(">")
        name = head.strip()
        arguments = self._arguments(name, rest) if found else None
        return ReadText([] if arguments is None else [WrittenCall(name, arguments)], used)

    def _arguments(self, name: str, text: str) -> dict[str, Any] | None:
        properties = self._schemas.get(name, {}).get("properties")
        known = properties if isinstance(properties, Mapping) else {}
        found: dict[str, Any] = {}
        before, *parameters = text.split(_PARAMETER)
        for one in parameters:
            key, mark, rest = one.partition(">")
            value, closed, after = rest.partition(_PARAMETER_END)
            if not mark or not closed or after.strip():
                return None
            found[key.strip()] = _typed(value.removeprefix("\n").removesuffix("\n"), known.get(key))
        return None if before.strip() else found


def _typed(text: str, schema: Any) -> Any:
    if isinstance(schema, Mapping) and schema.get("type") == "string":
        return text
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def written_call(text: str) -> WrittenCall | None:
    """The call that a JSON object is; None if it is none."""
    found = json_object(text)
    return None if found is None else _call_of(found)


def _calls(text: str) -> list[WrittenCall]:
    """The calls of a JSON array; none if any of them is malformed."""
    found = json_object(f'{{"calls": {text}}}')
    listed = found["calls"] if found is not None else []
    calls = [_call_of(one) if isinstance(one, dict) else None for one in listed]
    return [call for call in calls if call is not None] if all(calls) else []


def _call_of(found: dict[str, Any]) -> WrittenCall | None:
    name, arguments = found.get("name"), found.get("arguments", found.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = json_object(arguments)
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return WrittenCall(name, arguments)


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None if it is something else."""
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _past_space(text: str, start: int) -> int:
    return len(text) - len(text[start:].lstrip())
