"""The token controls of one answer: its request's controls, grammar and reasoning."""

from __future__ import annotations

from dataclasses import replace

from forethought.contracts.backend import Request
from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import UsageError
from forethought.engine.thinking import Thinking
from forethought.engine.token_controls import TokenControls
from forethought.models.chat.thinking_marks import thinking_marks
from forethought.models.model import Model
from forethought.models.tokenization.grammar import grammar_constraint
from forethought.prefill.prepare import PreparedPrompt

_REASONING_SHARE = 0.75
"""The share of an answer's tokens that a budget leaves to the reasoning at most."""


def controls_of(given: GenerationControls, request: Request) -> GenerationControls:
    """The controls of a request; intermediate texts of a search, such as critiques, have none.

    A text that follows a schema begins with it, so nothing is thought before. Raises UsageError if
    another grammar is given.
    """
    parent = request.parent
    if not parent.schema:
        return GenerationControls() if parent.question and not parent.asked else given
    if given.grammar:
        raise UsageError(
            "the search writes JSON by a schema of its own, and the request gives another grammar",
            "leave one of the two out",
        )
    return replace(given, grammar=parent.schema, grammar_kind="json", thinking_budget=0)


def token_controls(
    given: GenerationControls, request: Request, prompt: PreparedPrompt
) -> TokenControls | None:
    """The controls after the tokens of the request's parent; None if nothing is controlled.

    Raises UsageError for controls that the model cannot follow.
    """
    model = prompt.target
    thinking = _thinking(given, prompt)
    if given.default and thinking is None:
        return None
    given.check_vocabulary(model.shape.vocabulary)
    constraint = None
    if given.grammar:
        constraint = grammar_constraint(model.tokenizer, given.grammar, given.grammar_kind)
    controls = TokenControls(
        given,
        prompt.prompt.tokens,
        end_tokens(given, model),
        constraint=constraint,
        thinking=thinking,
    )
    return controls.follow(request.parent.token_ids)


def end_tokens(given: GenerationControls, model: Model) -> frozenset[int]:
    """The tokens that end an answer."""
    ends = frozenset[int]() if given.ignore_end else model.tokenizer.ends
    return ends | frozenset(given.stop_token_ids)


def check_writer(given: GenerationControls, target: Model, writer: Model) -> None:
    """Raise UsageError if a draft answers with tokens that differ from those of the controls."""
    named = given.logit_bias or given.stop_token_ids or given.allowed_tokens
    if named and writer.tokenizer.fingerprint != target.tokenizer.fingerprint:
        raise UsageError(
            f"the controls name tokens of {target.name}, and {writer.name}, which has others, "
            "answers too",
            "use a draft with the same tokenizer, or no token ids",
        )


def _thinking(given: GenerationControls, prompt: PreparedPrompt) -> Thinking | None:
    """The reasoning of the answer; None for a model that does not think."""
    marks = thinking_marks(prompt.target)
    if marks is None:
        return None
    limit = given.thinking_budget
    if limit is not None:
        room = int(_REASONING_SHARE * prompt.answer_tokens) - len(marks.close)
        limit = min(limit, max(0, room))
    turns = prompt.target.tokenizer.control_tokens
    return Thinking(marks, prompt.prompt.tokens, turns, limit)
