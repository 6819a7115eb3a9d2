"""The chances a model gives to one-word answers."""

from __future__ import annotations

import torch

from forethought.contracts.backend import Judgement
from forethought.contracts.records import Prompt
from forethought.cost.flops import prefill_flops
from forethought.engine.batch import Batch
from forethought.engine.cache import Row
from forethought.engine.meter import Meter
from forethought.models.chat import chat_prompt
from forethought.models.model import Model


def judging_flops(target: Model, judgement: Judgement) -> float:
    """FLOPs of reading the questions."""
    return sum(
        prefill_flops(target.shape, len(_prompt(target, question)))
        for question in judgement.questions
    )


def judged(target: Model, judgement: Judgement, meter: Meter) -> tuple[tuple[float, ...], ...]:
    """For each question the chance of each choice, among the choices alone."""
    return tuple(_chances(target, text, judgement.choices, meter) for text in judgement.questions)


def _chances(
    target: Model, question: str, choices: tuple[str, ...], meter: Meter
) -> tuple[float, ...]:
    prompt = _prompt(target, question)
    row = Row(len(target.shape.layers), len(prompt))
    logits = Batch(target.network, meter).prefill(row, prompt.tokens)
    meter.count("scoring", len(prompt))
    whole = torch.log_softmax(logits.double(), 0)
    # A choice is known by its first token, however an answer may begin: "Yes", " Yes", "yes".
    each = torch.stack(
        [torch.logsumexp(whole[_beginnings(target, choice)], 0) for choice in choices]
    )
    return tuple(torch.softmax(each, 0).tolist())


def _prompt(target: Model, question: str) -> Prompt:
    return chat_prompt(target.tokenizer, target.template, question)


def _beginnings(target: Model, choice: str) -> list[int]:
    spellings = {f"{space}{word}" for space in ("", " ") for word in (choice, choice.lower())}
    return sorted({target.tokenizer.encode(text)[0] for text in spellings})
