"""How much of an answer a model's context holds behind its prompt."""

from __future__ import annotations

from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.records import Prompt
from forethought.models.model import Model
from forethought.prefill.draft_model import ModelDraft


def room_behind(prompt: Prompt, target: Model) -> int:
    """Most tokens that an answer to the prompt may have."""
    return target.shape.context - prompt.end


def short_room(room: int, most: int, whose: str = "model") -> tuple[str, ...]:
    """What to say where an answer may have `most` tokens and there is less room."""
    if room >= most:
        return ()
    return (f"the {whose}'s context has room for {room:,} tokens of the answer",)


def check_context(prompt: Prompt, target: Model, draft: ModelDraft) -> None:
    """Raise PromptTooLongError, naming what would make the prompt fit."""
    context = target.shape.context
    if prompt.end < context:
        return
    fit = max(1, context * 3 // 4)
    methods = [f"truncate(keep={fit})"]
    if draft.model.for_length(len(prompt)).shape.context > len(prompt):
        methods.insert(0, f"specpc(keep={fit})")
    raise PromptTooLongError(
        f"the prompt has {prompt.end:,} tokens, but {target.name} holds {context:,}, "
        "the answer included",
        f"shorten it by a method such as {' or '.join(methods)}",
    )


def check_turn(prompt: Prompt, target: Model, before: int) -> None:
    """Raise PromptTooLongError for a turn that does not fit behind the `before` tokens of others.

    Methods shorten a conversation's first turn alone, so none is named.
    """
    context = target.shape.context
    if prompt.end < context:
        return
    # A question has some tokens of the chat template around it.
    shorter = "ask a shorter question, or " if before + 32 < context else ""
    raise PromptTooLongError(
        f"the conversation has {prompt.end:,} tokens with this question, but {target.name} holds "
        f"{context:,}, the answer included",
        f"{shorter}begin a new conversation; a method such as truncate(keep={context // 2}) leaves "
        "more room where it shortens the first turn",
    )
