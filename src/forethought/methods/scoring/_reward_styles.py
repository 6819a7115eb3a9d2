"""Prompt formats of reward models, and the tokens at which each reads its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.chat.transcript import (
    Message,
    ScoredTokens,
    TextMarker,
    Transcript,
    transcript,
)

if TYPE_CHECKING:
    from forethought.models.encoders.reward_model import RewardHead

_ADVICE = r"Please reason step by step, and put your final answer within \boxed{}."
"""The system message of Qwen's training data."""


def tagged(
    head: RewardHead, question: str, steps: Sequence[str], tag: str, system: str | None
) -> ScoredTokens:
    """Steps with a tag after each, scored at the tags (Qwen2.5-Math-PRM)."""
    content = [part for step in steps for part in (step, TextMarker(tag))]
    messages: list[Message] = [("user", [question]), ("assistant", content)]
    found = _shown(head, _ADVICE if system is None else system, messages)
    return ScoredTokens(found.tokens, tuple(last for _, last in found.marks))


def turned(
    head: RewardHead, question: str, steps: Sequence[str], system: str | None
) -> ScoredTokens:
    """Each step is a user turn answered with +, scored at the token before + (RLHFlow)."""
    turns = [f"{question} {steps[0]}", *steps[1:]]
    messages: list[Message] = [
        message
        for turn in turns
        for message in (("user", [turn]), ("assistant", [TextMarker("+")]))
    ]
    found = _shown(head, system or "", messages)
    _, plus = head.words
    if any(found.tokens[first] != plus for first, _ in found.marks):
        raise UnsupportedModelError(
            "the reward model's chat template joins its + with what stands around it",
            "use another reward model, or another style",
        )
    return ScoredTokens(found.tokens, tuple(first - 1 for first, _ in found.marks))


def answered(head: RewardHead, question: str, answer: str, system: str | None) -> ScoredTokens:
    """The whole conversation, scored at its last token."""
    messages: list[Message] = [("user", [question]), ("assistant", [answer])]
    found = _shown(head, system or "", messages)
    return ScoredTokens(found.tokens, (len(found.tokens) - 1,))


def _shown(head: RewardHead, system: str, messages: Sequence[Message]) -> Transcript:
    first: list[Message] = [("system", [system])] if system else []
    return transcript(head.tokenizer, head.template, [*first, *messages])
