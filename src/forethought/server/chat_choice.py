"""One choice of a chat answer: its text becomes reasoning, content and tool calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from forethought.models.chat.answer import AnswerDelta, AnswerReader, ReasoningDelta
from forethought.models.chat.reasoning import begins_in_reasoning, reasoning_markers
from forethought.models.chat.tool_calls import CallDelta
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
    refusal: str = ""
    """The reason to withhold the answer."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """Tool calls."""

    def __post_init__(self) -> None:
        self._reader = _reader(self.asked, self.index)

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of reasoning."""
        return self._reader.reasoning_tokens

    def push(self, token: Mapping[str, Any]) -> tuple[list[Delta], list[dict[str, Any]]]:
        """The deltas and the log-probability entries of a token event."""
        entries = list(self._entries(token))
        self.entries += entries
        return self._add(token["text"], int("token" in token)), entries

    def end(self, text: str, finish: str, refusal: str = "") -> list[Delta]:
        """The last deltas, from the whole text of the answer or the reason to withhold it."""
        deltas = self._add(text[self.shown :], 0)
        deltas += self._deltas(self._reader.finish())
        if refusal:
            self.refusal = refusal
            deltas.append({"refusal": refusal})
        self.finish = "tool_calls" if self.calls and finish == "stop" else finish
        return deltas

    def message(self) -> dict[str, Any]:
        """The whole message."""
        content, reasoning = "".join(self.content), "".join(self.reasoning)
        found: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if self.refusal:
            found |= {"content": None, "refusal": self.refusal}
        if self.calls:
            found |= {"content": content or None, "tool_calls": self.calls}
        if reasoning:
            found |= _reasoned(reasoning)
        return found

    def _add(self, text: str, tokens: int) -> list[Delta]:
        self.shown += len(text)
        return self._deltas(self._reader.push(text, tokens)) if text or tokens else []

    def _deltas(self, read: list[AnswerDelta]) -> list[Delta]:
        return [delta for one in read for delta in self._delta(one)]

    def _delta(self, one: AnswerDelta) -> Iterator[Delta]:
        match one:
            case ReasoningDelta(text):
                self.reasoning.append(text)
                yield _reasoned(text)
            case CallDelta(index, call):
                if index and self.asked.fields.parallel_tool_calls is False:
                    return  # the request allows one call
                function = {"name": call.name, "arguments": call.arguments}
                self.calls.append({"id": call.id, "type": "function", "function": function})
                yield {"tool_calls": [{"index": index, **self.calls[-1]}]}
            case _:
                self.content.append(one.text)
                yield {"content": one.text}

    def _entries(self, token: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if self.asked.fields.logprobs and self.texts is not None and "token" in token:
            yield self.texts.entry(token, self.asked.fields.top_logprobs or 0)


def _reasoned(text: str) -> Delta:
    """Reasoning under both of the names that clients read."""
    return {"reasoning": text, "reasoning_content": text}


def _reader(asked: AskedChat, index: int) -> AnswerReader:
    model, prompt = asked.model, asked.live.prompt
    if model is None or prompt is None:
        return AnswerReader(None)
    markers = reasoning_markers(model.template, model.tokenizer)
    final = asked.final_message
    inside = begins_in_reasoning(prompt, markers, final)
    return AnswerReader(markers, asked.tools.parser(f"{asked.live.name}/{index}"), inside=inside)
