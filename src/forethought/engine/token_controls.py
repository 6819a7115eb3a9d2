"""Controls of one sequence's tokens: masks, biases, penalties, forced tokens.

They apply to the logits before temperature and filters, in the order of vLLM's sampler: the
constraint, the allowed tokens, `min_tokens`, the biases, then the penalties for repetition,
frequency and presence. Reported log-probabilities are those of the raw logits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import UsageError
from forethought.contracts.roles import TokenConstraint
from forethought.engine.sampling import Choice
from forethought.engine.thinking import Thinking
from forethought.engine.upload import upload


class TokenControls:
    """The state of the controls after each token of one sequence."""

    def __init__(
        self,
        controls: GenerationControls,
        prompt: Sequence[int] = (),
        ends: Iterable[int] = (),
        *,
        constraint: TokenConstraint | None = None,
        thinking: Thinking | None = None,
    ) -> None:
        """`prompt` counts for the repetition penalty; `ends` are the end tokens."""
        self._controls = controls
        self._adjusts = not controls.default or constraint is not None
        self._ends = sorted(ends)
        self._constraint = constraint
        self._thinking = thinking
        self._length = 0
        self.reasoned = False
        """Whether the newest token belongs to the reasoning, marks included."""
        self._past = PastTokens(prompt) if controls.penalises else None

    def follow(self, tokens: Iterable[int]) -> TokenControls:
        """The controls after these tokens of the answer."""
        for token in tokens:
            self.accept(token)
        return self

    @property
    def forced(self) -> int | None:
        """The next token, if the controls leave no choice."""
        return None if self._thinking is None else self._thinking.forced

    def applied(self, choice: Choice, logits: Tensor) -> Choice:
        """The choice from these logits [V] under the controls; raises as `adjusted` does."""
        if (token := self.forced) is not None:
            return choice._replace(forced=token)
        return choice._replace(adjusted=self.adjusted(logits))

    @property
    def complete(self) -> bool:
        """Whether the constraint lets nothing follow."""
        return self._constraint is not None and self._constraint.complete

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of reasoning so far."""
        return 0 if self._thinking is None else self._thinking.tokens

    @property
    def reasoning(self) -> bool:
        """Whether the next token belongs to the reasoning or closes it."""
        return self._thinking is not None and self._thinking.busy

    def accept(self, token: int) -> None:
        """Follow a token that the sequence takes."""
        self._length += 1
        if self._past is not None:
            self._past.count(token)
        before = self.reasoning
        if self._thinking is not None:
            self._thinking.accept(token)
        self.reasoned = before or self.reasoning
        if self._constraint is not None and not self.reasoned:
            self._constraint.accept(token)

    def adjusted(self, logits: Tensor) -> Tensor | None:
        """The logits [V] to choose from; None where they stay as they are.

        Raises UsageError if no token is left.
        """
        if not self._adjusts:
            return None
        found = self._masked(logits)
        if self._holds_ends and self._ends:
            open_ended = found.index_fill(0, _places(self._ends, logits), -math.inf)
            # A complete answer may end before its minimum length if nothing else may follow.
            found = open_ended if _possible(open_ended) else found
        found = self._biased(found)
        if self._past is not None:
            found = self._past.penalised(found, self._controls)
        if found is logits:
            return None
        if not _possible(found):
            raise UsageError(
                "the controls of the request leave no token to choose",
                "allow more tokens, or an end token",
            )
        return found

    def law(self, logits: Tensor) -> Tensor:
        """The logits [V] of the next token: of a forced token alone, or as adjusted."""
        if (token := self.forced) is None:
            found = self.adjusted(logits)
            return logits if found is None else found
        return torch.full_like(logits, -math.inf).index_fill(0, _places([token], logits), 0.0)

    @property
    def _holds_ends(self) -> bool:
        """Whether no end token may come next: too early, or inside the reasoning before a text
        that a constraint demands."""
        early = self._length < self._controls.min_tokens
        return early or (self._constraint is not None and self.reasoning)

    def _masked(self, logits: Tensor) -> Tensor:
        """The logits with -inf for tokens that constraint and allowed tokens exclude."""
        constraint = None if self.reasoning else self._constraint
        if constraint is not None:
            allowed = constraint.allowed(len(logits))
            if self._thinking is not None and self._thinking.may_open:
                allowed[self._thinking.opening] = True
            logits = logits.masked_fill(~allowed.to(logits.device), -math.inf)
        if self._controls.allowed_tokens:
            places = _places(self._controls.allowed_tokens, logits)
            only = torch.full_like(logits, -math.inf)
            logits = only.index_copy(0, places, logits[places])
        return logits

    def _biased(self, logits: Tensor) -> Tensor:
        biases = dict(self._controls.logit_bias)
        if not biases:
            return logits
        values = upload([*biases.values()], logits.dtype, logits.device)
        return logits.index_add(0, _places([*biases], logits), values)


class PastTokens:
    """The tokens of prompt and answer, and how often the answer holds each."""

    def __init__(self, prompt: Sequence[int]) -> None:
        self._counts = dict.fromkeys(prompt, 0)
        self._places: Tensor | None = None

    def count(self, token: int) -> None:
        """Count a token of the answer."""
        if token not in self._counts:
            self._counts[token], self._places = 0, None
        self._counts[token] += 1

    def penalised(self, logits: Tensor, controls: GenerationControls) -> Tensor:
        """The logits after repetition, frequency and presence penalties."""
        if self._places is None:
            self._places = _places([*self._counts], logits)
        places, factor = self._places, controls.repetition_penalty
        held = logits[places]
        held = torch.where(held > 0, held / factor, held * factor)
        counts = upload([*self._counts.values()], logits.dtype, logits.device)
        held = held - controls.frequency_penalty * counts
        return logits.index_copy(0, places, held - controls.presence_penalty * (counts > 0))


def _possible(logits: Tensor) -> bool:
    """Whether any token can be chosen; logits that are no numbers fail later, as damage."""
    return float(logits.max()) != -math.inf


def _places(tokens: Sequence[int], logits: Tensor) -> Tensor:
    return upload(tokens, torch.long, logits.device)
