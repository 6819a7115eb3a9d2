"""What a cost estimate is asked for, and the stages that it consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.records import ModelShape
from forethought.contracts.roles import Approximation
from forethought.contracts.score_work import LayerSizes
from forethought.cost.capacity import cache_bytes
from forethought.cost.precision import Precision
from forethought.cost.roofline import Machine, Phase
from forethought.cost.work import Operation, Work
from forethought.models.decoder.config import DecoderConfig

CHUNK = 2048
"""Prompt tokens of a prefill pass, unless a method must see the whole prompt."""


@dataclass(frozen=True)
class CostRequest:
    """What is asked for: lengths in tokens, and equal requests at once."""

    prompt: int
    answer: int
    batch: int = 1
    samples: int = 1
    """Answers to each prompt, which share its cache."""

    def cache_bytes(self, config: DecoderConfig, stored: Precision, entries: float) -> float:
        """Bytes of a request's caches at the end of its answers, behind so many entries."""
        whole, prompt = (
            cache_bytes(config, stored, tokens) for tokens in (entries + self.answer, entries)
        )
        return prompt + self.samples * (whole - prompt)


@dataclass(frozen=True)
class CostStage:
    """A part of a run, by the name that the user sees."""

    name: str
    phase: Phase


def merged(stages: Sequence[CostStage]) -> list[CostStage]:
    """Stages of one name added up, in order of appearance."""
    found: dict[str, Phase] = {}
    for stage in stages:
        before = found.get(stage.name)
        found[stage.name] = stage.phase if before is None else before.plus(stage.phase)
    return [CostStage(name, phase) for name, phase in found.items()]


def products(machine: Machine, name: str, flops: float, layers: int) -> CostStage:
    """Products with keys or values that are still on the chip, in all layers together."""
    operation = Operation("scores", Work(flops / layers), layers)
    seconds = machine.seconds(operation, "prefill")
    return CostStage(name, Phase("prefill", operation.total, seconds, seconds, (operation,), 0))


def sparse_flops(method: Approximation, shape: ModelShape, tokens: int, ahead: int) -> float:
    """FLOPs of a sparse prefill's attention in a layer without a window, on average."""
    found = [
        method.attention_flops(place, LayerSizes(layer, shape.hidden, tokens, ahead))
        for place, layer in enumerate(shape.layers)
        if layer.window is None
    ]
    return sum(found) / len(found) if found else 0.0
