"""An answer as a chat client sees it: reasoning, content and tool calls, as its text arrives."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.models.chat.call_formats import MISTRAL_OPEN, PYTHON_TAG
from forethought.models.chat.reasoning import ReasoningMarkers, ReasoningSplitter, SplitText
from forethought.models.chat.tool_calls import CallDelta, TextDelta, ToolCallParser
from forethought.models.tokenization.tokenizer import Tokenizer

_CALL_TOKENS = (MISTRAL_OPEN, "[ARGS]", "[CALL_ID]", PYTHON_TAG, "<tool_call>", "</tool_call>")


@dataclass(frozen=True)
class ReasoningDelta:
    """A further piece of an answer's reasoning."""

    text: str


AnswerDelta = ReasoningDelta | TextDelta | CallDelta


class AnswerReader:
    """Reads an answer's text in pieces: first its reasoning, then content and tool calls."""

    def __init__(
        self,
        markers: ReasoningMarkers | None,
        parser: ToolCallParser | None = None,
        *,
        inside: bool = False,
    ) -> None:
        self._splitter = ReasoningSplitter(markers, inside=inside)
        self._parser = parser

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of reasoning so far."""
        return self._splitter.tokens

    @property
    def reasons(self) -> bool:
        """Whether the text so far ends inside the reasoning."""
        return self._splitter.inside

    @property
    def calls(self) -> int:
        """Tool calls so far."""
        return self._parser.calls if self._parser is not None else 0

    def push(self, text: str, tokens: int = 1) -> list[AnswerDelta]:
        """The deltas that a further piece of text completes; so many tokens wrote it."""
        return self._deltas(self._splitter.push(text, tokens))

    def finish(self) -> list[AnswerDelta]:
        """The text that was held back."""
        found = self._deltas(self._splitter.finish())
        return [*found, *(self._parser.finish() if self._parser is not None else ())]

    def _deltas(self, split: SplitText) -> list[AnswerDelta]:
        found: list[AnswerDelta] = []
        if split.reasoning:
            found.append(ReasoningDelta(split.reasoning))
        if self._parser is not None:
            found += self._parser.push(split.content)
        elif split.content:
            found.append(TextDelta(split.content))
        return found


def visible_tokens(tokenizer: Tokenizer, markers: ReasoningMarkers | None) -> frozenset[int]:
    """The control tokens that an `AnswerReader` must see as text: markers of reasoning and calls.

    Give them to `Tokenizer.decoding`, which skips other control tokens.
    """
    pieces = "\0".join((*_CALL_TOKENS, *((markers.start, markers.end) if markers else ())))
    texts = ((token, tokenizer.text_of(token)) for token in tokenizer.control_tokens)
    return frozenset(token for token, text in texts if text and text in pieces)
