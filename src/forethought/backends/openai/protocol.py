"""Request bodies for OpenAI-compatible servers, and the values they share with replies."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from forethought.contracts.backend import Request
from forethought.models.chat.message import Message

Body = dict[str, Any]
Raw = Callable[[str], str]
"""Formats a question as a raw prompt."""
RawFields = Callable[[str, str], Body]
"""The fields of a raw request, from a question and the beginning of its answer."""
Stops = Literal["kept", "told", "watched"]
"""How a step's end is detected. "kept": the server includes the delimiter in the text. "told": it
reports the matched stop string. "watched": neither, so the client closes the connection at the
delimiter."""


@dataclass(frozen=True)
class CompletionParams:
    """Sampling parameters and system message of every request."""

    temperature: float = 0.7
    """The default, where a request sets none."""
    top_k: int = 0
    """Sample among the k most likely tokens; 0 for all."""
    top_p: float = 1.0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    """Stop strings; they are not part of the answer."""
    system: str | None = None
    """The system message."""
    history: tuple[Message, ...] = ()
    """The messages between the system message and the question."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that every prompt holds beside its question."""
        return (self.system or "", *(one.content for one in self.history))

    def settings(self, temperature: float | None) -> Body:
        """The request's fields; those that only some servers know are left out at their
        defaults."""
        chosen = self.temperature if temperature is None else temperature
        plain = {"top_p": (self.top_p, 1.0), "top_k": (self.top_k, 0), "min_p": (self.min_p, 0.0)}
        used = {name: value for name, (value, off) in plain.items() if value != off}
        return {"temperature": chosen, **used}


@dataclass(frozen=True)
class Capabilities:
    """What a server supports."""

    model: str
    served: str = ""
    """The model name and version that the server reports, where it does."""
    chat: bool = True
    """Whether requests hold messages; otherwise raw prompts."""
    ids: bool = False
    """Whether raw prompts are token ids of a model on this machine."""
    limit: str = "max_tokens"
    """The server's field name for the output token limit."""
    usage: bool = True
    """Whether a streamed answer can end with token counts."""
    logprobs: bool = False
    top: int = 0
    """Alternatives per token with their log-probabilities."""
    continues: bool = False
    """Whether the server continues the prefix of an answer."""
    trims: bool = False
    """Whether the server strips trailing whitespace from such a prefix."""
    stops: Stops = "watched"
    overhead: int = 256
    """Prompt tokens besides the question's, at most."""

    @property
    def path(self) -> str:
        """Path of the completions endpoint."""
        return "/chat/completions" if self.chat else "/completions"

    def body(
        self, question: str, prefix: str, max_tokens: int, params: CompletionParams, raw: RawFields
    ) -> Body:
        """A request for an answer, or for the continuation of its prefix."""
        common: Body = {"model": self.model, "stream": True, self.limit: max_tokens}
        if self.usage:
            common["stream_options"] = {"include_usage": True}
        if self.logprobs:
            common["logprobs"] = True if self.chat else 1
            if self.chat and self.top:  # without it, some servers send no log-probabilities
                common["top_logprobs"] = 1
        if not self.chat:
            return {**common, **raw(question, prefix)}
        messages = [{"role": one.role, "content": one.content} for one in params.history]
        messages.append({"role": "user", "content": question})
        if params.system is not None:
            messages.insert(0, {"role": "system", "content": params.system})
        if not prefix:
            return {**common, "messages": messages}
        messages.append({"role": "assistant", "content": prefix})
        going_on = {"continue_final_message": True, "add_generation_prompt": False}
        return {**common, "messages": messages, **going_on}

    def with_top(self, body: Body) -> Body:
        """The request with the most likely alternatives per token."""
        return {
            **body,
            **(
                {"logprobs": True, "top_logprobs": self.top}
                if self.chat
                else {"logprobs": self.top}
            ),
        }

    def stopping(self, delimiter: str | None, params: CompletionParams) -> Body:
        """The fields for stop strings and a step's delimiter."""
        stops = list(params.stop)
        extra: Body = {}
        if delimiter is not None and self.stops != "watched" and not self.trims:
            stops.insert(0, delimiter)
            if self.stops == "kept":
                extra["include_stop_str_in_output"] = True
        return {**({"stop": stops} if stops else {}), **extra}


def text_fields(raw: Raw | None) -> RawFields:
    """The fields of requests with raw prompts as text; without a format, the question alone."""

    def fields(question: str, prefix: str) -> Body:
        return {"prompt": (raw(question) if raw else question) + prefix}

    return fields


def request_seed(request: Request) -> int:
    """A 31-bit seed from the request's seed, its stream and its position.

    The position matters because servers reseed for each request: without it, all steps of a
    candidate would draw the same random numbers.
    """
    named = repr((request.seed, request.stream, request.parent.tokens))
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:4]) >> 1


def prompt_of(request: Request) -> tuple[str, str]:
    """The question, after its document, and the prefix of its answer."""
    return request.parent.question or request.question.asked, request.parent.text


def choice_probabilities(
    top: Mapping[str, float], choices: Sequence[str]
) -> tuple[float, ...] | None:
    """Each choice's probability among the choices, from the top tokens; None if none occurs.

    A choice is matched by its first token, whatever its case and spacing: "Yes", " Yes", "yes".
    """
    masses = [0.0] * len(choices)
    for token, chance in top.items():
        word = token.strip().lower()
        for place, choice in enumerate(choices):
            if word and choice.strip().lower().startswith(word):
                masses[place] += math.exp(chance)
    whole = sum(masses)
    return tuple(mass / whole for mass in masses) if whole else None
