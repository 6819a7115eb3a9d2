"""Accumulates a server's reply while it streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forethought.backends.openai.finish_reasons import End, end_of
from forethought.backends.openai.shape import (
    count_of,
    list_of,
    log_probability_of,
    object_of,
    text_of,
)

_NAME = 300
"""Most characters of the model's name."""
_WIDEST, _USUAL, _SPARE = 512, 8, 64
"""Characters of a token: a maximum, a generous mean, and an allowance for short texts."""


@dataclass
class StreamedReply:
    """The reply of one attempt so far."""

    text: str = ""
    hidden: str = ""
    """Output outside the answer, such as reasoning."""
    scored_tokens: int = 0
    """Tokens with a log-probability."""
    log_probability: float = 0.0
    top_logprobs: list[dict[str, float]] = field(default_factory=list)
    """By position: log-probabilities of the most likely tokens."""
    finish: End = ""
    matched_stop: object = None
    """The stop string that the server reports."""
    usage: Mapping[str, Any] | None = None
    served: str = ""
    """The model name and version that the server reports."""
    refusal: str = ""
    """The model's refusal, sent in place of an answer."""
    tools: bool = False
    """Whether the model calls tools."""
    parts: int = 0
    """Documents that held part of the answer."""
    _index: int | None = None
    """The choice that is followed, where the server sends several."""

    def add(self, document: Mapping[str, Any]) -> None:
        """Add a streamed part or a whole answer; ShapeError where the document is neither."""
        self._add_usage(object_of(document.get("usage")))
        told = (document.get("model"), document.get("system_fingerprint"))
        named = " ".join(one for one in told if isinstance(one, str))[:_NAME]
        self.served = named or self.served
        choices = [object_of(choice) for choice in list_of(document.get("choices"))]
        if choices and self._index is None:
            self._index = min(map(_index_of, choices))
        for choice in [one for one in choices if _index_of(one) == self._index][:1]:
            if not self.finish:  # text after the finish reason is not part of the answer
                self._add_choice(choice)

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        said = object_of(choice.get("delta") or choice.get("message"))
        text = text_of(said.get("content") or choice.get("text"))
        hidden = text_of(said.get("reasoning_content") or said.get("reasoning"))
        self.text += text
        self.hidden += hidden
        self.parts += bool(text or hidden)
        self.refusal += text_of(said.get("refusal"))
        self._add_log_probabilities(object_of(choice.get("logprobs")))
        self.finish = end_of(text_of(choice.get("finish_reason")))
        self.tools = self.tools or bool(said.get("tool_calls") or said.get("function_call"))
        if self.finish == "stop" and (self.refusal or self.tools):
            self.finish = "refusal" if self.refusal else "tool_calls"
        for name in ("stop_reason", "matched_stop"):
            self.matched_stop = choice.get(name) or self.matched_stop

    def _add_usage(self, found: Mapping[str, Any]) -> None:
        for counts in (found, object_of(found.get("prompt_tokens_details"))):
            for name in ("prompt_tokens", "completion_tokens", "cached_tokens"):
                count_of(counts.get(name))
        self.usage = found or self.usage

    def _add_log_probabilities(self, found: Mapping[str, Any]) -> None:
        if found.get("content"):
            entries = [object_of(entry) for entry in list_of(found["content"])]
            log_probabilities = [entry.get("logprob") for entry in entries]
            tops = [
                {
                    text_of(one.get("token")): log_probability_of(one.get("logprob"))
                    for one in likely
                }
                for likely in ([*map(object_of, list_of(e.get("top_logprobs")))] for e in entries)
            ]
        else:
            log_probabilities = [*list_of(found.get("token_logprobs"))]
            tops = [
                {
                    token: log_probability_of(log_probability)
                    for token, log_probability in object_of(one).items()
                }
                for one in list_of(found.get("top_logprobs"))
            ]
        self.scored_tokens += len(log_probabilities)
        self.log_probability += sum(map(log_probability_of, log_probabilities))
        self.top_logprobs += tops

    @property
    def started(self) -> bool:
        """Whether the server is known to have begun work."""
        return bool(self.text or self.hidden or self.scored_tokens or self.finish or self.usage)

    @property
    def complete(self) -> bool:
        """Whether the answer is complete, perhaps without its usage."""
        return self.finish not in ("", "broken")

    def exceeds(self, limit: int) -> bool:
        """Whether an unfinished answer has certainly passed this many tokens."""
        several = self.parts > limit and self._characters > _USUAL * limit + _SPARE
        return not self.finish and (self.scored_tokens > limit or several)

    @property
    def _characters(self) -> int:
        return len(self.text) + len(self.hidden)

    def output_tokens(self, limit: int) -> int:
        """Tokens written: the server's count, else the log-probabilities, else an upper bound."""
        if self.usage and (written := count_of(self.usage.get("completion_tokens"))) is not None:
            # The end-of-sequence token may have a log-probability and not count as usage.
            return max(written, self.scored_tokens - 1, -(-self._characters // _WIDEST))
        if self.scored_tokens:
            return self.scored_tokens
        if self.finish == "length":
            return limit
        # A token has at least one byte of text; the end-of-sequence token has none.
        size = len((self.text + self.hidden).encode("utf-8", "surrogatepass"))
        return min(limit, size + bool(self.finish))

    def prompt_tokens(self, estimate: int) -> tuple[int, int]:
        """Fresh and cached prompt tokens; `estimate` replaces a missing count."""
        usage = self.usage or {}
        whole = count_of(usage.get("prompt_tokens"))
        if whole is None:
            return estimate, 0
        details = object_of(usage.get("prompt_tokens_details"))
        cached = min(whole, count_of(details.get("cached_tokens")) or 0)
        return whole - cached, cached


def _index_of(choice: Mapping[str, Any]) -> int:
    return count_of(choice.get("index")) or 0
