"""Hidden states of stored answers, recomputed by one prefill of each question and its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from forethought.contracts.errors import PromptTooLongError, UnsupportedModelError
from forethought.contracts.questions import Question
from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.final_states import FinalStates
from forethought.engine.meter import Meter
from forethought.engine.new_tokens import NewTokens
from forethought.models.chat.prompt import chat_prompt
from forethought.models.model import Model

Floats = NDArray[np.float64]
_TOKENS = 1024
"""Tokens of answers in one pass."""


@dataclass(frozen=True)
class StateReader:
    """Reads final hidden states of a model, and charges its meter."""

    model: Model
    meter: Meter

    def prompt(self, question: Question) -> PromptStates:
        """Prefill the prompt of a question."""
        tokenizer, template = self.model.tokenizer, self.model.template
        tokens = chat_prompt(tokenizer, template, question.text, question.document).tokens
        cache = SequenceCache(len(self.model.shape.layers), len(tokens))
        shown = FinalStates()
        Batch(self.model.network, self.meter, final=shown).prefill(cache, tokens)
        self.meter.count("scoring", len(tokens))
        cache.freeze()
        return PromptStates(self, cache, _rows(shown, self.model)[-1])


@dataclass(frozen=True)
class PromptStates:
    """A prefilled prompt."""

    reader: StateReader
    cache: SequenceCache
    end: Floats
    """[hidden] at its last token."""

    def behind(self, answers: Sequence[Sequence[int]], at: Sequence[Sequence[int]]) -> list[Floats]:
        """[R, hidden] of each answer: the states that its tokens `at` were sampled from.

        A place of an answer's length stands for its end token.
        """
        found: list[Floats] = []
        for few in _packs([len(one) for one in answers]):
            found += self._read([answers[n] for n in few], [at[n] for n in few])
        return found

    def _read(self, answers: Sequence[Sequence[int]], at: Sequence[Sequence[int]]) -> list[Floats]:
        model, meter = self.reader.model, self.reader.meter
        context = model.shape.context
        longest = self.cache.next + max(map(len, answers))
        if longest > context:
            raise PromptTooLongError(
                f"a stored answer ends at token {longest:,}, but {model.name} holds {context:,}",
                "leave out the task",
            )
        wanted = [[place - 1 for place in places if place] for places in at]
        parts = [
            NewTokens(self.cache.fork(), tokens[: max(rows) + 1], logits_at=rows)
            for tokens, rows in zip(answers, wanted, strict=True)
            if rows
        ]
        shown = FinalStates()
        if parts:
            Batch(model.network, meter, final=shown).forward(parts, phase="prefill")
            meter.count("scoring", sum(len(part.tokens) for part in parts))
        rows = _rows(shown, model) if parts else np.zeros((0, len(self.end)))
        split = np.split(rows, np.cumsum([len(one) for one in wanted])[:-1])
        # A first token was sampled from the prompt's last state.
        firsts = [len(places) - len(own) for places, own in zip(at, split, strict=True)]
        return [
            np.concatenate([np.tile(self.end, (count, 1)), own])
            for count, own in zip(firsts, split, strict=True)
        ]


def _packs(lengths: Sequence[int]) -> list[list[int]]:
    """The answers of each pass, in order."""
    packs: list[list[int]] = [[]]
    held = 0
    for number, length in enumerate(lengths):
        if packs[-1] and held + length > _TOKENS:
            packs.append([])
            held = 0
        packs[-1].append(number)
        held += length
    return [pack for pack in packs if pack]


def _rows(shown: FinalStates, model: Model) -> Floats:
    if shown.rows is None:
        raise UnsupportedModelError(
            f"{model.name} shows no hidden states, which a probe reads", "use another model"
        )
    return shown.rows.to("cpu", torch.float64).numpy()
