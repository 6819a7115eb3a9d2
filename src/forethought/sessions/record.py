"""The record of a run, from what was spoken and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forethought.contracts.records import Exact, Kept, Run, Timing
from forethought.cost.flops import answer_flops, entry_bytes, prefill_flops
from forethought.engine.meter import Meter
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.voice import Voice


@dataclass(frozen=True)
class Spoken:
    """What there is to record of a run."""

    recipe: Recipe
    identifier: str
    target: Model
    length: int
    """Tokens of the prompt before anything was dropped."""
    meter: Meter
    seconds: float
    load_seconds: float
    first_token: float
    voices: Sequence[Voice]
    kept: Kept | None
    finish: str
    notes: Sequence[str]
    cached: int = 0
    """Tokens of the prompt that an exact run too would find in its cache."""

    def run(self) -> Run:
        """The record."""
        steps = sum(voice.stream.steps for voice in self.voices)  # the first token takes none
        decode = self.meter.stages.get("decode", 0.0)
        return Run(
            answer=self.voices[0].text if self.voices else "",
            recipe=self.recipe.spelling,
            seed=self.recipe.seed,
            settings=self.recipe.settings,
            finish=self.finish,
            cost=self.meter.cost(self.seconds),
            timing=Timing(
                load=self.load_seconds,
                first_token=self.first_token,
                per_token=decode / steps if steps else 0.0,
                stages=dict(self.meter.stages),
            ),
            exact=self._exact(),
            kept=self.kept or Kept(0, self.length, ()),
            run=self.identifier,
            candidates=tuple(v.record() for v in self.voices) if self.recipe.samples > 1 else (),
            notes=tuple(self.notes),
        )

    def _exact(self) -> Exact:
        """What these answers would have cost behind the whole prompt."""
        shape = self.target.shape
        steps = [voice.stream.steps for voice in self.voices]
        flops = prefill_flops(shape, self.length)
        flops -= prefill_flops(shape, self.cached) if self.cached else 0.0
        flops += sum(answer_flops(shape, self.length, count) for count in steps)
        return Exact(flops, self.length * entry_bytes(shape, self.target.network.dtype.itemsize))
