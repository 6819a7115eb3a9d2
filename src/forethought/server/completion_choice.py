"""One choice of a completion: its text and log-probabilities, after those of its prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forethought.contracts.records import Prompt
from forethought.server.completion_requests import AskedCompletion
from forethought.server.token_texts import TokenTexts, finite


@dataclass
class Logprobs:
    """Log-probabilities in the shape of completions."""

    tokens: list[str] = field(default_factory=list)
    token_logprobs: list[float | None] = field(default_factory=list)
    top_logprobs: list[dict[str, float] | None] = field(default_factory=list)
    text_offset: list[int] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "tokens": self.tokens,
            "token_logprobs": self.token_logprobs,
            "top_logprobs": self.top_logprobs,
            "text_offset": self.text_offset,
        }

    def add(self, text: str, chance: float | None, top: dict[str, float] | None, at: int) -> None:
        """Add a token."""
        self.tokens.append(text)
        self.token_logprobs.append(None if chance is None else finite(chance))
        self.top_logprobs.append(top)
        self.text_offset.append(at)


@dataclass
class CompletionChoice:
    """The text of a choice so far, and the part that is not sent yet."""

    asked: AskedCompletion
    prompt: Prompt | None
    index: int
    texts: TokenTexts | None
    shown: int = 0
    """Characters of the answer so far."""
    text: list[str] = field(default_factory=list)
    logprobs: Logprobs = field(default_factory=Logprobs)
    finish: str = ""
    log_probability: float = 0.0
    count: int = 0
    """Tokens of the answer so far."""

    def echo(self) -> None:
        """Put the prompt first."""
        assert self.prompt is not None, "only models of this machine echo"
        self.text.append(self.prompt.text)

    def echo_logprobs(self, told: Mapping[str, Any]) -> None:
        """Put the log-probabilities of the prompt first."""
        assert self.prompt is not None, "only models of this machine echo"
        assert self.texts is not None, "only models of this machine echo"
        columns = zip(told["tokens"], told["log_probabilities"], told["top"], strict=True)
        for (start, _), (token, chance, top) in zip(self.prompt.spans, columns, strict=True):
            entry = {"token": token, "log_probability": chance, "top": top}
            shown = None if chance is None else self.texts.top(entry, self._top)
            self.logprobs.add(self.texts.text(token), chance, shown, start)

    def push(self, token: Mapping[str, Any]) -> tuple[str, Logprobs]:
        """The fresh text and log-probabilities of a token event."""
        fresh = Logprobs()
        if self.asked.scores_only:
            return "", fresh
        if "token" in token:
            self.count += 1
            self.log_probability += token["log_probability"]
        if self.asked.fields.logprobs is not None and self.texts is not None and "token" in token:
            top = self.texts.top(token, self._top)
            entry = self.texts.text(token["token"]), token["log_probability"], top, self._length
            fresh.add(*entry)
            self.logprobs.add(*entry)
        self._add(token["text"])
        return token["text"], fresh

    def end(self, text: str, finish: str) -> str:
        """The last fresh text, from the whole text of the answer."""
        rest = "" if self.asked.scores_only else text[self.shown :]
        self._add(rest)
        self.finish = "length" if self.asked.scores_only else finish
        return rest

    def document(self, index: int) -> dict[str, Any]:
        """The whole choice under an index."""
        wanted = self.asked.fields.logprobs is not None
        return {
            "index": index,
            "text": "".join(self.text),
            "logprobs": self.logprobs.document() if wanted else None,
            "finish_reason": self.finish,
        }

    @property
    def likelihood(self) -> float:
        """Mean log-probability of its tokens."""
        return self.log_probability / max(1, self.count)

    @property
    def _top(self) -> int:
        return self.asked.fields.logprobs or 0

    @property
    def _length(self) -> int:
        """The place of the next token in the text that the client sees."""
        echoed = self.prompt.text if self.asked.fields.echo and self.prompt is not None else ""
        return len(echoed) + self.shown

    def _add(self, text: str) -> None:
        self.shown += len(text)
        if text:
            self.text.append(text)
