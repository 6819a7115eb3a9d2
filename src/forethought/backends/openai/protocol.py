"""What is said to a server of the OpenAI kind, and what is understood of its answers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from forethought.contracts.backend import Request
from forethought.contracts.records import Cost

Body = dict[str, Any]
Raw = Callable[[str], str]
"""Lays a question out as the raw prompt that an answer follows."""
Stops = Literal["kept", "told", "heard"]
"""How the end of a step is known: the server keeps the delimiter in the text, tells which
delimiter it stopped at, or neither: then the connection is closed once it was heard."""


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens."""

    prompt: float
    output: float
    cached: float | None = None
    """Of prompt tokens that the server had cached; as all others where None."""

    def __str__(self) -> str:
        cached = "" if self.cached is None else f"/{self.cached:g}"
        return f"${self.prompt:g}/{self.output:g}{cached} a million tokens"

    def usd(self, prompt: int, cached: int, output: int) -> float:
        """What so many tokens cost; `prompt` without those that were cached."""
        seen = self.prompt if self.cached is None else self.cached
        return (prompt * self.prompt + cached * seen + output * self.output) / 1e6


def price_of(prices: Mapping[str, Price], model: str) -> Price | None:
    """A model's own price, or under "" that of all that have none; None where it is not known."""
    return prices.get(model, prices.get(""))


@dataclass(frozen=True)
class CompletionParams:
    """How answers are drawn, besides what a request says."""

    temperature: float = 0.7
    """Where a request states none."""
    top_k: int = 0
    """Only the k likeliest tokens; 0 for all."""
    top_p: float = 1.0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    """Texts that end an answer; they are no part of it."""
    system: str | None = None
    """The system message of every prompt."""

    def settings(self, temperature: float | None) -> Body:
        """The fields of a request; those that not all servers know only where they matter."""
        chosen = self.temperature if temperature is None else temperature
        plain = {"top_p": (self.top_p, 1.0), "top_k": (self.top_k, 0), "min_p": (self.min_p, 0.0)}
        used = {name: value for name, (value, off) in plain.items() if value != off}
        return {"temperature": chosen, **used}


@dataclass(frozen=True)
class Capabilities:
    """What a server was found to do."""

    model: str
    served: str = ""
    """What the server itself calls the model that answers, and its version, where it tells."""
    chat: bool = True
    """Whether it is asked by messages; else by raw prompts."""
    limit: str = "max_tokens"
    """Its name for the most tokens to write."""
    usage: bool = True
    """Whether a streamed answer may be asked to end with its token counts."""
    logprobs: bool = False
    top: int = 0
    """Likeliest tokens it tells of one place."""
    continues: bool = False
    """Whether it goes on from the beginning of an answer."""
    trims: bool = False
    """Whether it drops the spaces that such a beginning ends with."""
    stops: Stops = "heard"
    overhead: int = 256
    """Tokens that a prompt has besides those of the question, at most."""

    @property
    def path(self) -> str:
        """Where answers are asked for."""
        return "/chat/completions" if self.chat else "/completions"

    def body(
        self, question: str, beginning: str, most: int, manner: CompletionParams, raw: Raw
    ) -> Body:
        """A request for an answer, or for what follows its beginning."""
        common: Body = {"model": self.model, "stream": True, self.limit: most}
        if self.usage:
            common["stream_options"] = {"include_usage": True}
        if self.logprobs:
            common["logprobs"] = True if self.chat else 1
            if self.chat and self.top:  # some tell of no token without
                common["top_logprobs"] = 1
        if not self.chat:
            return {**common, "prompt": raw(question) + beginning}
        messages = [{"role": "user", "content": question}]
        if manner.system is not None:
            messages.insert(0, {"role": "system", "content": manner.system})
        if not beginning:
            return {**common, "messages": messages}
        messages.append({"role": "assistant", "content": beginning})
        going_on = {"continue_final_message": True, "add_generation_prompt": False}
        return {**common, "messages": messages, **going_on}

    def with_top(self, body: Body) -> Body:
        """The request, for the likeliest tokens too."""
        return {
            **body,
            **(
                {"logprobs": True, "top_logprobs": self.top}
                if self.chat
                else {"logprobs": self.top}
            ),
        }

    def stopping(self, delimiter: str | None, manner: CompletionParams) -> Body:
        """The fields that say where an answer or a step ends."""
        stops = list(manner.stop)
        extra: Body = {}
        if delimiter is not None and self.stops != "heard" and not self.trims:
            stops.insert(0, delimiter)
            if self.stops == "kept":
                extra["include_stop_str_in_output"] = True
        return {**({"stop": stops} if stops else {}), **extra}


def request_seed(request: Request) -> int:
    """31 bits for the server to draw with: by seed, stream and place, as all draws are.

    The place is part of it because a server starts its draws anew with every request: the
    steps of one candidate would else all be drawn with the same numbers.
    """
    named = repr((request.seed, request.stream, request.parent.tokens))
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:4]) >> 1


def prompt_of(request: Request) -> tuple[str, str]:
    """What is asked, its document before it, and what its answer goes on from."""
    return request.parent.question or request.question.asked, request.parent.text


def choice_chances(top: Mapping[str, float], choices: Sequence[str]) -> tuple[float, ...] | None:
    """The chance of each choice among them all, by the likeliest tokens; None if none is there.

    A choice is known by its first token, however an answer may begin: "Yes", " Yes", "yes".
    """
    masses = [0.0] * len(choices)
    for token, chance in top.items():
        word = token.strip().lower()
        for place, choice in enumerate(choices):
            if word and choice.strip().lower().startswith(word):
                masses[place] += math.exp(chance)
    whole = sum(masses)
    return tuple(mass / whole for mass in masses) if whole else None


def cost_of(price: Price | None, prompt: int, cached: int, output: int) -> Cost:
    """The cost of so many tokens."""
    usd = None if price is None else price.usd(prompt, cached, output)
    return Cost(prompt_tokens=prompt, cached_tokens=cached, output_tokens=output, usd=usd)
