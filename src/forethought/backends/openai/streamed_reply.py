"""What is understood of a server's answer while it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forethought.backends.openai.finish_reasons import End, end_of
from forethought.backends.openai.shape import chance_of, count_of, list_of, object_of, text_of

_NAME = 300
"""Letters of what a server calls a model."""
_WIDEST, _USUAL, _SPARE = 512, 8, 64
"""Letters of a token: more than any has, more than the mean of many, and what few may have more."""


@dataclass
class StreamedReply:
    """What came of one attempt so far."""

    text: str = ""
    hidden: str = ""
    """What the server keeps out of the text, such as reasoning."""
    entries: int = 0
    """Tokens whose log-probability came."""
    log_probability: float = 0.0
    tops: list[dict[str, float]] = field(default_factory=list)
    """By place, the log-probabilities of the likeliest tokens."""
    finish: End = ""
    matched: object = None
    """The text that the server says it stopped at."""
    usage: Mapping[str, Any] | None = None
    served: str = ""
    """What the server calls the model that answers, and its version."""
    refusal: str = ""
    """What the model says instead of an answer."""
    tools: bool = False
    """Whether it calls tools."""
    parts: int = 0
    """Documents that held a part of the answer."""
    _index: int | None = None
    """The number of the answer, where the server sends several."""

    def take(self, document: Mapping[str, Any]) -> None:
        """Take in a part of an answer, or the whole of it; ShapeError where it is neither."""
        self._take_usage(object_of(document.get("usage")))
        told = (document.get("model"), document.get("system_fingerprint"))
        named = " ".join(one for one in told if isinstance(one, str))[:_NAME]
        self.served = named or self.served
        choices = [object_of(choice) for choice in list_of(document.get("choices"))]
        if choices and self._index is None:
            self._index = min(map(_index_of, choices))
        for choice in [one for one in choices if _index_of(one) == self._index][:1]:
            if not self.finish:  # what a server sends behind the end is no part of the answer
                self._take_choice(choice)

    def _take_choice(self, choice: Mapping[str, Any]) -> None:
        said = object_of(choice.get("delta") or choice.get("message"))
        text = text_of(said.get("content") or choice.get("text"))
        hidden = text_of(said.get("reasoning_content") or said.get("reasoning"))
        self.text += text
        self.hidden += hidden
        self.parts += bool(text or hidden)
        self.refusal += text_of(said.get("refusal"))
        self._take_chances(object_of(choice.get("logprobs")))
        self.finish = end_of(text_of(choice.get("finish_reason")))
        self.tools = self.tools or bool(said.get("tool_calls") or said.get("function_call"))
        if self.finish == "stop" and (self.refusal or self.tools):
            self.finish = "refusal" if self.refusal else "tool_calls"
        for name in ("stop_reason", "matched_stop"):
            self.matched = choice.get(name) or self.matched

    def _take_usage(self, found: Mapping[str, Any]) -> None:
        for counts in (found, object_of(found.get("prompt_tokens_details"))):
            for name in ("prompt_tokens", "completion_tokens", "cached_tokens"):
                count_of(counts.get(name))
        self.usage = found or self.usage

    def _take_chances(self, found: Mapping[str, Any]) -> None:
        if found.get("content"):
            entries = [object_of(entry) for entry in list_of(found["content"])]
            chances = [entry.get("logprob") for entry in entries]
            tops = [
                {text_of(one.get("token")): chance_of(one.get("logprob")) for one in likely}
                for likely in ([*map(object_of, list_of(e.get("top_logprobs")))] for e in entries)
            ]
        else:
            chances = [*list_of(found.get("token_logprobs"))]
            tops = [
                {token: chance_of(chance) for token, chance in object_of(one).items()}
                for one in list_of(found.get("top_logprobs"))
            ]
        self.entries += len(chances)
        self.log_probability += sum(map(chance_of, chances))
        self.tops += tops

    @property
    def begun(self) -> bool:
        """Whether the server is known to have worked."""
        return bool(self.text or self.hidden or self.entries or self.finish or self.usage)

    @property
    def ended(self) -> bool:
        """Whether the answer came whole, if perhaps without its counts."""
        return self.finish not in ("", "broken")

    def beyond(self, most: int) -> bool:
        """Whether it surely has more tokens than so many, and none of the end."""
        several = self.parts > most and self._letters > _USUAL * most + _SPARE
        return not self.finish and (self.entries > most or several)

    @property
    def _letters(self) -> int:
        return len(self.text) + len(self.hidden)

    def tokens(self, most: int) -> int:
        """Tokens written: as the server counts them, else as they came, else never too few."""
        if self.usage and (written := count_of(self.usage.get("completion_tokens"))) is not None:
            # The end may have an entry and be no part of the count.
            return max(written, self.entries - 1, -(-self._letters // _WIDEST))
        if self.entries:
            return self.entries
        if self.finish == "length":
            return most
        # A token is a byte of text at least; one more may have ended it.
        size = len((self.text + self.hidden).encode("utf-8", "surrogatepass"))
        return min(most, size + bool(self.finish))

    def prompt(self, otherwise: int) -> tuple[int, int]:
        """Prompt tokens that were read, and those that were cached instead."""
        usage = self.usage or {}
        whole = count_of(usage.get("prompt_tokens"))
        if whole is None:
            return otherwise, 0
        details = object_of(usage.get("prompt_tokens_details"))
        cached = min(whole, count_of(details.get("cached_tokens")) or 0)
        return whole - cached, cached


def _index_of(choice: Mapping[str, Any]) -> int:
    return count_of(choice.get("index")) or 0
