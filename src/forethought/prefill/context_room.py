"""Whether a prompt fits the context of its model, and the room that it leaves for an answer."""

from __future__ import annotations

from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.records import Prompt
from forethought.models.model import Model
from forethought.prefill.draft_model import ModelDraft


def room_note(room: int, answer_tokens: int, whose: str = "model") -> tuple[str, ...]:
    """A note if the context has less room than the answer may need."""
    if room >= answer_tokens:
        return ()
    return (f"the {whose}'s context has room for {room:,} tokens of the answer",)


def check_context(prompt: Prompt, target: Model, draft: ModelDraft) -> None:
    """Raise PromptTooLongError if the prompt does not fit; the hint names methods that mend it."""
    context = target.shape.context
    if prompt.end < context:
        return
    fit = max(1, context * 3 // 4)
    methods = [f"truncate(keep={fit})"]
    if draft.model.for_length(len(prompt)).shape.context > len(prompt):
        methods.insert(0, f"specpc-shallow(keep={fit})")
    raise PromptTooLongError(
        f"the prompt has {prompt.end:,} tokens, but {target.name} holds {context:,}, "
        "the answer included",
        f"shorten it by a method such as {' or '.join(methods)}",
    )


def check_turn(prompt: Prompt, target: Model, before: int) -> None:
    """Raise PromptTooLongError if a turn does not fit after `before` tokens of conversation.

    Methods shorten only the first turn of a conversation, so the hint names none for this turn.
    """
    context = target.shape.context
    if prompt.end < context:
        return
    # The chat template adds some tokens around a question.
    shorter = "ask a shorter question, or " if before + 32 < context else ""
    raise PromptTooLongError(
        f"the conversation has {prompt.end:,} tokens with this question, but {target.name} holds "
        f"{context:,}, the answer included",
        f"{shorter}begin a new conversation; a method such as truncate(keep={context // 2}) leaves "
        "more room where it shortens the first turn",
    )
