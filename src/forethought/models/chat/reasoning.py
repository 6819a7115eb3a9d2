"""Reasoning apart from content: an incremental splitter of `<think>...</think>` and its kin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from forethought.contracts.records import Prompt
from forethought.models.chat.message import Message
from forethought.models.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class ReasoningMarkers:
    """The texts before and after a model's reasoning."""

    start: str
    end: str


_KNOWN = (
    ReasoningMarkers("<think>", "</think>"),
    ReasoningMarkers("[THINK]", "[/THINK]"),
    ReasoningMarkers("<seed:think>", "</seed:think>"),
    ReasoningMarkers("<|START_THINKING|>", "<|END_THINKING|>"),
    ReasoningMarkers("<|channel>thought\n", "<channel|>"),
    ReasoningMarkers(
        "<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"
    ),
)
_SIGNS = ("</think>", "[/THINK]", "</seed:think>", "<|END_THINKING|>", "<channel|>", "analysis")


def reasoning_markers(template: str, tokenizer: Tokenizer | None = None) -> ReasoningMarkers | None:
    """The markers that a chat template mentions, or that are tokens of the vocabulary.

    None for a model that does not reason.
    """
    for markers, sign in zip(_KNOWN, _SIGNS, strict=True):
        if sign in template and markers.start.rstrip("\n")[:10] in template:
            return markers
    if tokenizer is None:
        return None
    tokens = (tokenizer.token_of(one.start) and tokenizer.token_of(one.end) for one in _KNOWN)
    return next((one for one, token in zip(_KNOWN, tokens, strict=True) if token), None)


def begins_in_reasoning(
    prompt: Prompt, markers: ReasoningMarkers | None, final: Message | None = None
) -> bool:
    """Whether the answer to a prompt begins inside its reasoning.

    It does if the template opens the reasoning itself. `final` is the assistant's message that
    the answer continues.
    """
    if markers is None:
        return False
    if final is None:
        return prompt.text.rstrip().endswith(markers.start.rstrip())
    return bool(final.reasoning) and not final.content


class SplitText(NamedTuple):
    """Two parts of a piece of text; each may be empty."""

    reasoning: str
    content: str


class ReasoningSplitter:
    """Splits an answer into reasoning and content as its text arrives.

    Markers, and line breaks beside them, belong to neither. Reasoning that does not end is all
    reasoning. Only reasoning at the start of the answer counts.
    """

    def __init__(self, markers: ReasoningMarkers | None, *, inside: bool = False) -> None:
        self._markers = markers
        self._read = self._inside if inside else self._before
        if markers is None:
            self._read = self._after
        self._held = ""
        self._fresh = inside
        """Whether line breaks are dropped, since a marker stands right before."""
        self._undecided = 0  # tokens of a start marker that is not whole yet
        self.tokens = 0
        """Tokens of reasoning so far, with the markers."""

    @property
    def inside(self) -> bool:
        """Whether the text so far ends inside the reasoning."""
        return self._read == self._inside

    def push(self, text: str, tokens: int = 1) -> SplitText:
        """Split a further piece of text, which so many tokens wrote."""
        was = self.inside
        self._held += text
        found = self._read()
        self._undecided += tokens
        if was or self.inside:
            self.tokens += self._undecided
        if self._read != self._before:
            self._undecided = 0
        return found

    def finish(self) -> SplitText:
        """The text that was held back."""
        rest, self._held = self._held, ""
        return SplitText(rest, "") if self.inside else SplitText("", rest)

    def _before(self) -> SplitText:
        assert self._markers is not None
        text, start = self._held.lstrip(), self._markers.start
        if text.startswith(start):
            self._held = text[len(start) :]
            self._read, self._fresh = self._inside, True
            return self._read()
        if start.startswith(text):
            return SplitText("", "")
        self._read, self._fresh = self._after, False
        return self._read()

    def _inside(self) -> SplitText:
        assert self._markers is not None
        self._drop_breaks()
        text, end = self._held, self._markers.end
        before, found, rest = text.partition(end)
        if found:
            self._held, self._read, self._fresh = rest, self._after, True
            return SplitText(before.rstrip("\n"), self._read().content)
        ready = len(text) - overlap(text, end)
        ready = len(text[:ready].rstrip("\n"))
        self._held = text[ready:]
        return SplitText(text[:ready], "")

    def _after(self) -> SplitText:
        self._drop_breaks()
        text, self._held = self._held, ""
        return SplitText("", text)

    def _drop_breaks(self) -> None:
        if self._fresh:
            self._held = self._held.lstrip("\n")
            self._fresh = not self._held


def overlap(text: str, marker: str) -> int:
    """The length of the longest end of the text that begins the marker."""
    most = min(len(text), len(marker) - 1)
    return next((n for n in range(most, 0, -1) if marker.startswith(text[-n:])), 0)


def split_reasoning(
    text: str, markers: ReasoningMarkers | None, *, inside: bool = False
) -> SplitText:
    """The reasoning and the content of a whole answer."""
    splitter = ReasoningSplitter(markers, inside=inside)
    first, rest = splitter.push(text), splitter.finish()
    return SplitText(first.reasoning + rest.reasoning, first.content + rest.content)
