"""Finds out whether a server takes prompts as the token ids of a tokenizer on this machine.

It does if it accepts ids, has the same vocabulary and renders the same chat template. Where a
server shows neither its tokens nor its template, prompts go to it as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from forethought.backends.openai.api import Api
from forethought.backends.openai.shape import ShapeError, object_of
from forethought.contracts.errors import RemoteError

GREETING = "Hi"
SAMPLE = "The 3 quick foxes' café — naïve 東京 🙂\n\n  def f(x):\n\treturn x**2 # 1234567890 <|x|>"
"""Tokenizers that agree on this text are taken to be equal."""


class TokenPrompts(Protocol):
    """The tokenizer and the chat template of a model on this machine."""

    def encode(self, text: str) -> list[int]:
        """The tokens of plain text."""
        ...

    def rendered(self, question: str) -> tuple[str, list[int]]:
        """A question in the chat template, as text and as tokens."""
        ...

    @property
    def ends(self) -> list[int]:
        """The tokens that end an answer."""
        ...


async def takes_ids(api: Api, model: str, prompts: TokenPrompts) -> bool:
    """Whether the server takes prompts as token ids of these tokens and this template."""
    plain = {"model": model, "prompt": SAMPLE, "content": SAMPLE, "add_special_tokens": False}
    if await _tokens(api, plain) != prompts.encode(SAMPLE):
        return False
    if not await _same_template(api, model, prompts):
        return False
    _, ids = prompts.rendered(GREETING)
    body = {"model": model, "prompt": ids, "max_tokens": 1, "stop_token_ids": prompts.ends}
    reply = await _asked(api, "/completions", body)
    usage = reply.get("usage")
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return "choices" in reply and counted in (None, len(ids))


async def _same_template(api: Api, model: str, prompts: TokenPrompts) -> bool:
    """Whether the server's chat template writes the same prompt."""
    text, ids = prompts.rendered(GREETING)
    messages = {"messages": [{"role": "user", "content": GREETING}]}
    chat = {"model": model, **messages, "add_generation_prompt": True, "add_special_tokens": False}
    if found := await _tokens(api, chat):
        return found == ids
    shown = await _asked(api, f"{api.endpoint.root}/apply-template", messages)
    return shown.get("prompt") == text


async def _tokens(api: Api, body: Mapping[str, Any]) -> list[Any]:
    """The reply of the server's tokenizer; empty if it has no such address."""
    found = await _asked(api, f"{api.endpoint.root}/tokenize", body)
    tokens = found.get("tokens")
    return tokens if isinstance(tokens, list) else []


async def _asked(api: Api, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one document of a reply; empty where the server refuses or sends anything else."""
    found: list[Mapping[str, Any]] = []

    def take(document: Mapping[str, Any]) -> bool:
        found.append(document)
        return True

    try:
        await api.post(path, body, 1, take)
        return object_of(found[0]) if found else {}
    except (RemoteError, ShapeError):
        return {}
