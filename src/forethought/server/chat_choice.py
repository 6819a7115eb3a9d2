"""One choice of a chat answer: its text becomes reasoning, content and tool calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from forethought.models.chat.reasoning import (
    ReasoningSplitter,
    SplitText,
    begins_in_reasoning,
    reasoning_markers,
)
from forethought.server.chat_requests import AskedChat
from forethought.server.token_texts import TokenTexts

Delta = dict[str, Any]


@dataclass
class ChatChoice:
    """The parts of an answer so far."""

    asked: AskedChat
    index: int
    texts: TokenTexts | None
    shown: int = 0
    """Characters of the answer's raw text so far."""
    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    """Log-probabilities."""
    finish: str = ""

    def __post_init__(self) -> None:
        self._splitter = _splitter(self.asked)

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of reasoning."""
        return self._splitter.tokens

    def push(self, token: Mapping[str, Any]) -> tuple[list[Delta], list[dict[str, Any]]]:
        """The deltas and the log-probability entries of a token event."""
        entries = list(self._entries(token))
        self.entries += entries
        return self._add(token["text"], int("token" in token)), entries

    def end(self, text: str, finish: str) -> list[Delta]:
        """The last deltas, from the whole text of the answer."""
        deltas = self._add(text[self.shown :], 0)
        deltas += self._deltas(self._splitter.finish())
        self.finish = finish
        return deltas

    def message(self) -> dict[str, Any]:
        """The whole message."""
        content, reasoning = "".join(self.content), "".join(self.reasoning)
        found: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if reasoning:
            found |= {"reasoning": reasoning, "reasoning_content": reasoning}
        return found

    def _add(self, text: str, tokens: int) -> list[Delta]:
        self.shown += len(text)
        return self._deltas(self._splitter.push(text, tokens)) if text or tokens else []

    def _deltas(self, split: SplitText) -> list[Delta]:
        found: list[Delta] = []
        if split.reasoning:
            self.reasoning.append(split.reasoning)
            found.append({"reasoning": split.reasoning, "reasoning_content": split.reasoning})
        if split.content:
            self.content.append(split.content)
            found.append({"content": split.content})
        return found

    def _entries(self, token: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if self.asked.fields.logprobs and self.texts is not None and "token" in token:
            yield self.texts.entry(token, self.asked.fields.top_logprobs or 0)


def _splitter(asked: AskedChat) -> ReasoningSplitter:
    model, prompt = asked.model, asked.live.prompt
    if model is None or prompt is None:
        return ReasoningSplitter(None)
    markers = reasoning_markers(model.template)
    return ReasoningSplitter(markers, inside=begins_in_reasoning(prompt, markers))
