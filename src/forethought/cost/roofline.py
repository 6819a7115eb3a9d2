"""The roofline: an operation takes the longer of its FLOPs at the peak and its bytes.

Paper: "LLM Inference Unveiled: Survey and Roofline Model Insights", arXiv:2402.16363. On hardware
of the table, times are lower bounds: kernels reach a part of the peak, and launches take time. On
a measured machine they are predictions, with the rates that the probe found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from forethought.cost.hardware import Hardware, Measured
from forethought.cost.precision import Precision
from forethought.cost.sizes import Sizes
from forethought.cost.work import Operation, Pass, Work, decode_step, operations, total

Bound = Literal["compute", "memory"]
_POINTS = 10  # decode steps whose times stand for all


@dataclass(frozen=True)
class Machine:
    """Accelerators that share the work evenly, without communication, and the format they run."""

    hardware: Hardware
    precision: Precision
    format: str = "bf16"
    """The name of the weight format."""
    accelerators: int = 1

    def seconds(self, operation: Operation, phase: str) -> float:
        """The time of an operation in all its layers."""
        measured = self.hardware.measured
        if measured is not None:
            return self._predicted(measured, operation, phase)
        work = operation.total
        return max(self._compute(work), self._memory(work)) / self.accelerators

    def bound(self, operation: Operation) -> Bound:
        """Whether the FLOPs or the bytes of an operation take longer."""
        work = operation.total
        return "compute" if self._compute(work) >= self._memory(work) else "memory"

    def pass_seconds(self, found: Sequence[Operation], layers: int, phase: str) -> float:
        """The time of a pass."""
        seconds = sum(self.seconds(operation, phase) for operation in found)
        measured = self.hardware.measured
        if measured is None or phase != "decode":
            return seconds
        return seconds + measured.pass_seconds + layers * measured.layer_seconds

    def _compute(self, work: Work) -> float:
        return work.flops / self.hardware.rate(self.precision.eight_bit)

    def _memory(self, work: Work) -> float:
        return work.bytes_moved / self.hardware.bandwidth

    def _predicted(self, measured: Measured, operation: Operation, phase: str) -> float:
        """The time at measured rates; of decode, without the overhead of its layers."""
        work = operation.total
        if phase == "prefill":
            rate = measured.product_flops
            if operation.name in ("attention", "scores"):
                rate = measured.attention_flops
            return work.flops / rate + work.activation_bytes / measured.activation_bandwidth
        if operation.name == "attention":
            return work.cache_bytes / measured.cache_bandwidth
        rates = measured.decode_bandwidth
        bandwidth = rates.get(self.format, max(rates.values()))
        return max(work.flops / measured.product_flops, work.weight_bytes / bandwidth)


@dataclass(frozen=True)
class Phase:
    """The work and time of prefill or decode."""

    name: str
    work: Work
    seconds: float
    compute_seconds: float
    """Time of the operations that FLOPs bound."""
    operations: tuple[Operation, ...]
    """Of one pass; of decode, of the step in the middle."""
    passes: int = 1

    @property
    def bound(self) -> Bound:
        """Which limit takes most of the time."""
        return "compute" if 2 * self.compute_seconds > self.seconds else "memory"

    def times(self, count: int) -> Phase:
        """The phase repeated, with the operations of one."""
        seconds, compute = count * self.seconds, count * self.compute_seconds
        passes = count * self.passes
        return Phase(self.name, self.work.times(count), seconds, compute, self.operations, passes)

    def plus(self, other: Phase) -> Phase:
        """Both in sequence, with the operations of this one."""
        return Phase(
            self.name,
            self.work.plus(other.work),
            self.seconds + other.seconds,
            self.compute_seconds + other.compute_seconds,
            self.operations,
            self.passes + other.passes,
        )


def phase(sizes: Sizes, machine: Machine, passes: Sequence[tuple[Pass, float]]) -> Phase:
    """The phase of passes, each with its number of repetitions."""
    work, seconds, compute, repeated = Work(), 0.0, 0.0, 0.0
    shown: list[Operation] = []
    for place, (one, count) in enumerate(passes):
        found = operations(sizes, machine.precision, one)
        work = work.plus(total(found).times(count))
        seconds += count * machine.pass_seconds(found, sizes.layers, one.phase)
        bound = [each for each in found if machine.bound(each) == "compute"]
        compute += count * sum(machine.seconds(each, one.phase) for each in bound)
        repeated += count
        if place == len(passes) // 2:
            shown = found
    name = passes[0][0].phase if passes else "decode"
    return Phase(name, work, seconds, compute, tuple(shown), round(repeated))


def prefill_phase(
    sizes: Sizes, machine: Machine, prompt: int, batch: int = 1, chunk: int | None = None
) -> Phase:
    """The prefill of prompts, in passes of `chunk` tokens if stated."""
    step = chunk or prompt
    passes = [
        (Pass(min(step, prompt - start), start, batch, logits=int(start + step >= prompt)), 1.0)
        for start in range(0, prompt, step)
    ]
    return phase(sizes, machine, passes)


def decode_phase(
    sizes: Sizes,
    machine: Machine,
    past: float,
    steps: int,
    batch: int = 1,
    shared: float = 0.0,
    groups: int = 1,
) -> Phase:
    """`steps` decode steps after `past` entries; work and time grow linearly between ten of them.

    The first token of an answer comes from the prefill, so an answer of n tokens takes n - 1 steps.
    """
    passes = [
        (decode_step(past + (first + last) / 2, batch, shared, groups), last - first + 1.0)
        for first, last in _spans(steps, [window - past for window in sizes.windows if window])
    ]
    return phase(sizes, machine, passes)


def _spans(steps: int, full: Sequence[float]) -> list[tuple[int, int]]:
    """The first and last step of each span; work grows linearly inside of one.

    At most ten spans of equal length, split at the steps from which a window is `full`.
    """
    count = min(_POINTS, steps)
    edges = {round(steps * place / count) for place in range(count + 1)} if count else set()
    edges |= {int(step) for step in full if 0 < step < steps}
    return [(first, last - 1) for first, last in pairwise(sorted(edges))]
