"""The chances a model gives to one-word answers; what a run's questions share is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from forethought.contracts.backend import Judgement, Outcome
from forethought.contracts.errors import PromptTooLongError
from forethought.contracts.roles import Network
from forethought.cost.flops import causal_pairs, forward_flops
from forethought.engine.batch import Batch
from forethought.engine.cache import Row
from forethought.engine.meter import Clock, Meter
from forethought.models.chat import chat_prompt
from forethought.models.model import Model


@dataclass(frozen=True)
class _Begun:
    """A prompt that was read whole, for others to go on from where they part from it."""

    tokens: tuple[int, ...]
    row: Row


@dataclass
class Judge:
    """A model that gives verdicts.

    A question is read from where it parts from the first that its run asked: what both begin
    with, such as a document, is read for the first alone.
    """

    target: Model
    clock: Clock
    _first: dict[str, _Begun] = field(default_factory=dict)
    """By run."""

    def flops(self, judgement: Judgement) -> float:
        """FLOPs of reading what is new of the questions."""
        shape, found = self.target.shape, 0.0
        for tokens, shared in self._parted(judgement):
            fresh = len(tokens) - shared
            pairs = [causal_pairs(shared, fresh, layer.window) for layer in shape.layers]
            found += forward_flops(shape, fresh, pairs, logits=1)
        return found

    def outcome(self, judgement: Judgement) -> Outcome:
        """For each question the chance of each choice, among the choices alone."""
        parted = self._parted(judgement)
        for tokens, _ in parted:
            self._check_fits(len(tokens))
        meter = Meter(self.clock)
        chances = tuple(
            self._chances(self._read(judgement, tokens, shared, meter), judgement.choices)
            for tokens, shared in parted
        )
        return Outcome(judgement.key, meter.cost(0.0), chances=chances)

    def release(self, run: str) -> None:
        """Forget what a run asked."""
        self._first.pop(run, None)

    def _parted(self, judgement: Judgement) -> list[tuple[tuple[int, ...], int]]:
        """The tokens of each question, and how many of them were read for an earlier one."""
        prompts = [self._prompt(question) for question in judgement.questions]
        if judgement.beside:
            first = self._prompt(judgement.beside)
            return [(tokens, self._shared(first, tokens)) for tokens in prompts]
        later = [(tokens, self._shared(prompts[0], tokens)) for tokens in prompts[1:]]
        return [*((tokens, 0) for tokens in prompts[:1]), *later]

    def _shared(self, first: Sequence[int], tokens: Sequence[int]) -> int:
        """Tokens that both begin with, but the last: behind it there are chances to be told."""
        if self._network(first) is not self._network(tokens):
            return 0
        pairs = enumerate(zip(first, tokens, strict=False))
        parted = next((place for place, (one, other) in pairs if one != other), len(first))
        return min(parted, len(tokens) - 1)

    def _read(
        self, judgement: Judgement, tokens: tuple[int, ...], shared: int, meter: Meter
    ) -> Tensor:
        """Logits [V] behind a question."""
        row = Row(len(self.target.shape.layers), len(tokens))
        if shared:
            row = self._begun(judgement).row.before(shared)
            row.reserve = len(tokens) - shared
        logits = self._written(row, tokens, shared, meter)
        meter.count("scoring", len(tokens) - shared)
        if not judgement.beside:
            self._first.setdefault(judgement.run, _Begun(tokens, row))
        return logits

    def _begun(self, judgement: Judgement) -> _Begun:
        """The first that the run asked; read anew, and paid before, where it is not at hand."""
        found = self._first.get(judgement.run)
        if found is None:
            tokens = self._prompt(judgement.beside)
            found = _Begun(tokens, Row(len(self.target.shape.layers), len(tokens)))
            self._written(found.row, tokens, 0, Meter(self.clock))
            self._first[judgement.run] = found
        return found

    def _written(self, row: Row, tokens: tuple[int, ...], start: int, meter: Meter) -> Tensor:
        return Batch(self._network(tokens), meter).prefill(row, tokens[start:])

    def _chances(self, logits: Tensor, choices: Sequence[str]) -> tuple[float, ...]:
        whole = torch.log_softmax(logits.double(), 0)
        # A choice is known by its first token, however an answer may begin: "Yes", " Yes", "yes".
        each = torch.stack([torch.logsumexp(whole[self._beginnings(one)], 0) for one in choices])
        return tuple(torch.softmax(each, 0).tolist())

    def _beginnings(self, choice: str) -> list[int]:
        spellings = {f"{space}{word}" for space in ("", " ") for word in (choice, choice.lower())}
        return sorted({self.target.tokenizer.encode(text)[0] for text in spellings})

    def _prompt(self, question: str) -> tuple[int, ...]:
        return chat_prompt(self.target.tokenizer, self.target.template, question).tokens

    def _network(self, tokens: Sequence[int]) -> Network:
        """The model as it reads texts of that length."""
        return self.target.for_length(len(tokens)).network

    def _check_fits(self, length: int) -> None:
        context = self.target.for_length(length).shape.context
        if length > context:
            raise PromptTooLongError(
                f"a question for a verdict has {length:,} tokens, but {self.target.name} holds "
                f"{context:,}",
                "write shorter answers, show fewer at once, or use a model with a longer context",
            )
