"""Texts of our errors in the words of a request: fields instead of command-line options."""

from __future__ import annotations

import re

from forethought.server.schemas.chat_request import ChatRequest

_FIELDS = {"-m": "model", "-d": "draft", "-x": "approximate", "-s": "search", "--samples": "n",
           "--keep-stop": "include_stop_str_in_output"}  # fmt: skip
"""Options whose field has another name."""
_OPTION = r"(?<![\w'\"/.-])(--[a-z][a-z-]+|-[mdxs])(?![\w-])"
_EXAMPLE = re.compile(rf"such as {_OPTION} ([\w.-]+)")
_COMMANDS = (
    (re.compile(r"forethought list models"), "GET /v1/models"),
    (re.compile(r"forethought (?:list|show)(?: [\w-]+)?"), "GET /v1/catalogue"),
    (re.compile(r"forethought ask --help"), "GET /openapi.json"),
)
_OPERATOR = re.compile(rf"forethought [a-z]+ |{_OPTION}")
"""Advice that only the operator of the server can follow."""


def as_fields(text: str) -> str:
    """A message with the fields of a request in the place of options."""
    return re.sub(_OPTION, lambda found: _field(found[1]) or found[1].lstrip("-"), text)


def request_hint(hint: str) -> str:
    """A hint that a client can follow: fields and paths in the place of options and commands."""
    for command, path in _COMMANDS:
        hint = command.sub(path, hint)
    hint = _EXAMPLE.sub(
        lambda found: f'such as "{_field(found[1]) or found[1]}": "{found[2]}"', hint
    )
    hint = re.sub(_OPTION, lambda found: _field(found[1]) or found[1], hint)
    parts = [part for part in re.split(r", or |; ", hint) if not _OPERATOR.search(part)]
    if hint and not parts:
        return "ask the operator of this server"
    return hint if not _OPERATOR.search(hint) else ", or ".join(parts)


def _field(option: str) -> str:
    """The field with the meaning of an option; empty for an option of the server."""
    name = option.lstrip("-").replace("-", "_")
    return _FIELDS.get(option, name if name in ChatRequest.model_fields else "")
