"""Decode steps over static buffers, which a GPU replays as one CUDA graph.

A step of a small model is hundreds of short kernels, and starting them from Python takes longer
than running them. Such a step has inputs, caches and outputs at fixed addresses and never asks the
device for a value, so it is captured once for each size and replayed. The first replay of
each size is compared with the plain step; a difference or an error ends the use of graphs for
the network.

FORETHOUGHT_DECODE_STEP selects the kind of step: `graph` (the default on a GPU), `static` (the same
step without a graph, on any device) or `plain` (the default on a CPU).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from forethought.contracts.errors import UsageError
from forethought.contracts.roles import Network, ShowStates
from forethought.engine.attention.step_buffers import StepBuffers, StepSize
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.step_rows import StepRows, size_for
from forethought.engine.upload import staged

VARIABLE = "FORETHOUGHT_DECODE_STEP"
KINDS = ("graph", "static", "plain")
_MOST_STEPS = 8
"""Sizes whose graphs are kept for a network."""
_MOST_BYTES = 8 << 30
"""Bytes of their buffers."""
_TOLERANCE, _WIDE_TOLERANCE = 0.06, 1e-3
"""Greatest difference of logits beside the greatest logit, in 16 bits and in more."""
_DTYPES = (torch.bfloat16, torch.float16, torch.float32)
"""What the fused kernel of a GPU takes."""
_log = logging.getLogger(__name__)


class NewEntries(NamedTuple):
    """A new token of each row, and its position."""

    rows: Sequence[SequenceCache]
    tokens: Sequence[int]
    positions: Sequence[int]


class StaticStep:
    """A decode step of one size, with inputs at fixed addresses."""

    def __init__(self, size: StepSize, network: Network, *, capture: bool) -> None:
        shape = network.shape
        self._layers = len(shape.layers)
        like = torch.empty(0, dtype=network.dtype, device=network.device)
        self._buffers = StepBuffers(size, self._layers, shape.layers[0], like)
        self.rows = StepRows(self._buffers)
        self.checked = False
        """Whether its first logits were compared with those of the plain step."""
        self._capture = capture
        self._graph: torch.cuda.CUDAGraph | None = None
        self._logits: Tensor | None = None
        self._states: Tensor | None = None
        """[places, hidden] behind the logits."""
        count = (3 + self._layers) * size.rows
        self._inputs = torch.zeros(count, dtype=torch.long, device=network.device)

    def run(
        self,
        network: Network,
        new: NewEntries,
        known: Sequence[int | None],
        final: ShowStates | None,
    ) -> Tensor:
        """Logits [R, V] after one new token of each row, which gets an entry."""
        rows = new.rows
        indices = self.rows.place(rows, known)
        self._set(new, indices)
        if self._graph is not None:
            self._graph.replay()
        elif self._capture:
            # In a context of its own: no prefill may give way to others in the middle.
            Context().run(self._record, network)
        else:
            self._logits = self._compute(network)
        assert self._logits is not None
        self.rows.grow(rows, indices)
        places = self._inputs[2 * self._buffers.size.rows :][: len(rows)]
        if final is not None and self._states is not None:
            final(self._states.index_select(0, places))
        return self._logits.index_select(0, places)  # a copy: the next step writes here again

    def _set(self, new: NewEntries, indices: Sequence[int]) -> None:
        """Send the inputs in one transfer; free places decode token 0 at position 0."""
        count = self._buffers.size.rows
        tokens, positions, order = [0] * count, [0] * count, [0] * count
        for n, index in enumerate(indices):
            tokens[index], positions[index], order[n] = new.tokens[n], new.positions[n], index
        slots = zip(*self.rows.slots(), strict=True)
        values = [value for part in (tokens, positions, order, *slots) for value in part]
        self._inputs.copy_(staged(values, torch.long, self._inputs.device), non_blocking=True)

    def _compute(self, network: Network) -> Tensor:
        """Logits [R, V] of all places."""
        table = self._inputs.view(3 + self._layers, -1)
        self._buffers.begin(table[3:])
        attend = self._buffers.attend
        return network.forward(table[0], table[1], attend, phase="decode", final=self._keep)

    def _keep(self, states: Tensor) -> None:
        """Keep the final hidden states, which lie at the same address in each replay."""
        self._states = states

    def _record(self, network: Network) -> None:
        """Capture the step; it writes the same entries each time that it runs here."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(network.device):
            for _ in range(2):  # libraries set themselves up outside of a capture
                self._compute(network)
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._logits = self._compute(network)
            graph.replay()
        self._graph = graph


class StaticSteps:
    """The static steps of one network, by size."""

    def __init__(self, *, capture: bool) -> None:
        self._capture = capture
        self._steps: dict[StepSize, StaticStep] = {}
        """The least recently used first."""
        self._now: StaticStep | None = None
        """The step whose buffers hold rows."""
        self.ended = ""
        """Why the network decodes by plain steps; empty while it does not."""

    def forward(
        self,
        network: Network,
        new: NewEntries,
        plain: Callable[[], Tensor],
        final: ShowStates | None = None,
    ) -> Tensor | None:
        """Logits [R, V] after one new token of each row; None where `plain` must compute them.

        `plain` decodes the same tokens over the caches as they are. `final` receives the hidden
        states behind the logits; what it got from `plain` is replaced.
        """
        known = self._known(new.rows)
        if self.ended or not _able(new.rows, known):
            return None
        try:
            step, known = self._step_for(network, new.rows, known)
        except RuntimeError as error:
            self._end(str(error))
            return None
        if step is None:
            return None
        expected = None
        if not step.checked:
            expected = plain()
            _forget_newest(new.rows)
        try:
            logits = step.run(network, new, known, final)
            agrees = expected is None or close(logits, expected, network.dtype)
        except RuntimeError as error:
            self._end(str(error))
            return None
        if not agrees:
            _forget_newest(new.rows)
            self._end("its logits differ from those of the plain step")
            return None
        step.checked = True
        return logits

    def _known(self, rows: Sequence[SequenceCache]) -> list[int | None]:
        """The place of each row in the buffers that hold rows."""
        return [None] * len(rows) if self._now is None else self._now.rows.known(rows)

    def release(self) -> None:
        """Copy all rows out of the buffers."""
        if self._now is not None:
            self._now.rows.release()
            self._now = None

    def _end(self, why: str) -> None:
        """Decode by plain steps from here on."""
        self.ended = why
        _log.debug("decode steps are not captured: %s", why)
        self.release()
        self._steps.clear()

    def _step_for(
        self, network: Network, rows: Sequence[SequenceCache], known: list[int | None]
    ) -> tuple[StaticStep | None, list[int | None]]:
        """The step for these rows and their places; None if its buffers would be too large."""
        if self._now is not None and self._now.rows.serves(rows, known):
            return self._now, known
        self.release()
        size, shared = size_for(rows)
        step = self._steps.pop(size, None)
        if step is None and self._make_room(size, network):
            step = StaticStep(size, network, capture=self._capture)
        if step is not None:
            self._steps[size] = self._now = step
            step.rows.begin(shared)
        return step, [None] * len(rows)

    def _make_room(self, size: StepSize, network: Network) -> bool:
        """Drop old steps until this one fits beside the others."""

        def held(one: StepSize) -> int:
            return one.bytes(len(network.shape.layers), network.shape.layers[0], network.dtype)

        room = _MOST_BYTES - held(size)
        if room < 0:
            return False
        while len(self._steps) >= _MOST_STEPS or sum(map(held, self._steps)) > room:
            del self._steps[next(iter(self._steps))]
        return True


def close(logits: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    """Whether two kernels' logits agree as far as the rounding of their dtype allows."""
    off = (logits - expected).abs().max() / expected.abs().max()
    return float(off) <= (_TOLERANCE if dtype.itemsize == 2 else _WIDE_TOLERANCE)


def _able(rows: Sequence[SequenceCache], known: Sequence[int | None]) -> bool:
    """Whether heads hold equally many entries and nobody looks at the queries."""
    layers = range(len(rows[0].tail.layers))
    new = [row for row, index in zip(rows, known, strict=True) if index is None]
    return all(row.query_window is None for row in rows) and not any(
        row.ragged(layer) for row in new for layer in layers
    )


def _forget_newest(rows: Sequence[SequenceCache]) -> None:
    """Take back the newest entry of every layer; the tokens keep their positions."""
    for row in rows:
        for entries in row.tail.layers:
            entries.drop_newest(1)


class _OfThread(threading.local):
    """Threads share no buffers."""

    def __init__(self) -> None:
        self.steps: WeakKeyDictionary[Network, StaticSteps | None] = WeakKeyDictionary()


_of_thread = _OfThread()


def static_steps(network: Network) -> StaticSteps | None:
    """The static steps of a network; None where it decodes by plain steps."""
    known = _of_thread.steps
    if network not in known:
        known[network] = _steps_of(network)
    return known[network]


def _steps_of(network: Network) -> StaticSteps | None:
    on_gpu = network.device.type == "cuda"
    kind = os.environ.get(VARIABLE) or ("graph" if on_gpu else "plain")
    if kind not in KINDS:
        raise UsageError(f"{VARIABLE} is {kind!r}", f"set it to one of: {', '.join(KINDS)}")
    shapes = set(network.shape.layers)
    uniform = len(shapes) == 1 and all(s.window is None and s.softcap is None for s in shapes)
    fits = network.dtype in _DTYPES or network.device.type == "cpu"
    if kind == "plain" or not (uniform and fits and network.capturable):
        return None
    return StaticSteps(capture=on_gpu and kind == "graph")
