"""The compiled decode kernels as functions of tensors.

They run on the threads of torch's own OpenMP runtime, whose functions are handed to them: a
second runtime in the process would have threads of its own.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from forethought.models.compiled.arguments import EVERY_BLOCK, Heads, SeenBlocks, Sums
from forethought.models.compiled.build import lanes
from forethought.models.decoder.quantise import GROUP

_POINTER, _LONG, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
_FUNCTIONS = {
    "product4": [_POINTER] * 2 + [_LONG] + [_POINTER] * 3,
    "product8": [_POINTER] * 3 + [_LONG] * 3 + [_POINTER] * 4,
    "quantise8": [_POINTER] * 2 + [_LONG] * 2 + [_POINTER] * 4,
    "widen8": [_POINTER] + [_LONG] * 3 + [_POINTER] * 5,
    "add8": [_POINTER] + [_LONG] * 3 + [_POINTER] * 4 + [_FLOAT, _POINTER],
    "turn8": [_POINTER] + [_LONG] * 3 + [_POINTER] * 4 + [_LONG] * 3 + [_POINTER] * 3,
    "gate8": [_POINTER] + [_LONG] * 3 + [_POINTER] * 6,
    "pair_values": [_POINTER] + [_LONG] * 4 + [_POINTER, _LONG, _POINTER],
    "attend_prefill": (
        [_POINTER] + [_LONG] * 5 + [_POINTER, _LONG, _FLOAT] + [_POINTER, _LONG] * 2
        + [_POINTER] * 2 + [_LONG] * 4 + [_POINTER] * 2 + [_LONG] * 3
    ),
    "block_energies": (
        [_POINTER] + [_LONG] * 5 + [_POINTER, _LONG, _FLOAT, _POINTER] + [_LONG] * 4 + [_POINTER]
    ),
    "window_rows": (
        [_POINTER] + [_LONG] * 5 + [_POINTER, _LONG, _FLOAT, _POINTER] + [_LONG] * 2
        + [_POINTER, _LONG, _POINTER]
    ),
    "layer_inputs": [_POINTER] * 2 + [_LONG, _POINTER, _LONG] + [_POINTER] * 5,
    "layer_finish": [_POINTER] * 2 + [_LONG] + [_POINTER] * 5,
    "attend": (
        [_POINTER] + [_LONG] * 4 + [_FLOAT] + [_POINTER] * 3 + [_LONG] + [_POINTER] * 3
        + [_LONG] + [_POINTER] * 2
    ),
}  # fmt: skip
_OPENMP = ("GOMP_parallel", "GOMP_barrier", "omp_get_thread_num", "omp_get_num_threads")
TILE_KEYS = 64
"""Keys that a prefill takes at once, as in prefill_attention.c."""
CHUNK = 128
"""Entries of one partial attention, as in attention.c."""
MOST_SIZE = 256
"""The widest head that `attend` takes, as in attention.c."""

_TOGETHER = 16
"""Tokens that a kernel may take at once: TILE_ROWS of matrix_unit.h."""

PIECE = 5
"""Numbers that describe a piece of a row to `attend`."""


class Team(ctypes.Structure):
    """The threads of one call."""

    _fields_ = (*((name, _POINTER) for name in _OPENMP), ("threads", ctypes.c_uint))


class Matrix(ctypes.Structure):
    """A packed 4-bit matrix."""

    _fields_ = (
        *((name, _POINTER) for name in ("packed", "scales", "bias")),
        *((name, _LONG) for name in ("inputs", "outputs")),
    )


def matrix(packed: Tensor, scales: Tensor, bias: Tensor | None) -> Matrix:
    """What `quantise.pack_levels` made; the tensors must outlive it."""
    groups, outputs = scales.shape[:2]
    added = None if bias is None else bias.data_ptr()
    return Matrix(packed.data_ptr(), scales.data_ptr(), added, groups * GROUP, outputs)


class NormWeight(ctypes.Structure):
    """A norm; none where the weight is."""

    _fields_ = (("weight", _POINTER), ("late", _LONG), ("epsilon", _FLOAT))


class LayerWeights(ctypes.Structure):
    """A decoder layer without its attention."""

    _fields_ = (
        *((name, Matrix) for name in ("qkv", "out", "gate_up", "down")),
        *((name, NormWeight) for name in ("attention", "mlp", "head")),
        *((name, _LONG) for name in ("turned_heads", "head_size")),
        ("residual", _FLOAT),
    )


class Kernels:
    """The functions of one library. Tensors are bf16 and contiguous, results are new."""

    def __init__(self, path: Path) -> None:
        """Raises OSError or AttributeError where something cannot be found."""
        self._library = ctypes.CDLL(str(path))
        for name, arguments in _FUNCTIONS.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = arguments, None
        runtime = _openmp()
        self._openmp = [ctypes.cast(getattr(runtime, name), _POINTER).value for name in _OPENMP]
        self._teams: dict[int, Team] = {}
        self.lanes = lanes()
        self.block = 4 * self.lanes
        """Outputs of a 4-bit product come in multiples of this, and so do rows of a tile."""

    def product4(self, weight: Matrix, x: Tensor) -> Tensor:
        """x [N, in] times a 4-bit matrix: [N, out]."""
        x = x.contiguous()
        rows, inputs = x.shape
        y = x.new_empty((rows, weight.outputs))
        team = self._team()
        sums = self._scratch(team, rows, inputs)
        self._library.product4(
            ctypes.byref(team), ctypes.byref(weight), rows,
            x.data_ptr(), y.data_ptr(), sums.data_ptr(),
        )  # fmt: skip
        return y

    def product8(self, weight: Tensor, scales: Tensor, x: Tensor) -> Tensor:
        """x [N, in] times int8 weight [out, in], with a bf16 scale a row: float32 [N, out]."""
        x = x.contiguous()
        rows, (outputs, inputs) = len(x), weight.shape
        y = torch.empty(rows, outputs)
        spread, team = x.new_empty((-(-rows // _TOGETHER) * _TOGETHER, inputs)), self._team()
        wide = x.new_empty((team.threads, self.lanes // 4, inputs))
        self._library.product8(
            ctypes.byref(team), weight.data_ptr(), scales.data_ptr(), inputs, outputs,
            rows, x.data_ptr(), spread.data_ptr(), wide.data_ptr(), y.data_ptr(),
        )  # fmt: skip
        return y

    def quantise8(self, x: Tensor, norm: NormWeight | None = None) -> tuple[Tensor, Tensor]:
        """x [N, in] as int8 levels [N, in] with a float32 step [N] a row.

        A norm comes first; its inputs are a multiple of `lanes`.
        """
        x = x.contiguous()
        rows, inputs = x.shape
        levels, steps = torch.empty(rows, inputs, dtype=torch.int8), torch.empty(rows)
        team = self._team()
        normed = None if norm is None else x.new_empty(team.threads, inputs)
        self._library.quantise8(
            ctypes.byref(team), None if norm is None else ctypes.byref(norm), rows, inputs,
            x.data_ptr(), None if normed is None else normed.data_ptr(),
            levels.data_ptr(), steps.data_ptr(),
        )  # fmt: skip
        return levels, steps

    def widen8(self, given: Sums, out: Tensor) -> None:
        """Write products to bf16 columns [N, part]."""
        self._library.widen8(ctypes.byref(self._team()), *given.arguments(out), out.data_ptr())

    def add8(self, given: Sums, add: float, out: Tensor) -> None:
        """Add `add` times the products to bf16 columns [N, part]; part is a multiple of `lanes`."""
        team, products = self._team(), given.arguments(out)
        self._library.add8(ctypes.byref(team), *products, add, out.data_ptr())

    def turn8(self, given: Sums, heads: Heads, cosine: Tensor, sine: Tensor, out: Tensor) -> None:
        """Write products to bf16 columns [N, part], with the first heads rotated.

        Cosines and sines [N, R] are those of `rope.Rotation`; R / 2 and the heads' size are
        multiples of `lanes`.
        """
        self._library.turn8(
            ctypes.byref(self._team()), *given.arguments(out), heads.size, heads.turned,
            cosine.shape[-1], cosine.data_ptr(), sine.data_ptr(), out.data_ptr(),
        )  # fmt: skip

    def gate8(self, gate: Sums, up: Sums, out: Tensor) -> None:
        """Write silu(gate) * up to bf16 columns [N, part]; part is a multiple of `lanes`."""
        rows, outputs = gate.sums.shape
        self._library.gate8(
            ctypes.byref(self._team()), rows, outputs, out.stride(0), gate.sums.data_ptr(),
            up.sums.data_ptr(), gate.steps.data_ptr(), gate.scales.data_ptr(),
            up.scales.data_ptr(), out.data_ptr(),
        )  # fmt: skip

    def layer_inputs(
        self, layer: LayerWeights, x: Tensor, cosine: Tensor | None, sine: Tensor | None
    ) -> Tensor:
        """Queries, keys and values [N, out] of x [N, hidden]; rotated where angles are given."""
        rows, hidden = x.shape
        y = x.new_empty((rows, layer.qkv.outputs))
        team = self._team()
        sums, normed = self._scratch(team, rows, hidden), torch.empty_like(x)
        rotary = 0 if cosine is None else cosine.shape[-1]
        self._library.layer_inputs(
            ctypes.byref(team), ctypes.byref(layer), rows, x.data_ptr(), rotary,
            None if cosine is None else cosine.data_ptr(),
            None if sine is None else sine.data_ptr(),
            normed.data_ptr(), y.data_ptr(), sums.data_ptr(),
        )  # fmt: skip
        return y

    def layer_finish_(self, layer: LayerWeights, x: Tensor, mixed: Tensor) -> None:
        """Add to x [N, hidden] what attention's output `mixed` leads to."""
        rows, inner = len(x), layer.down.inputs
        team = self._team()
        sums = self._scratch(team, rows, max(inner, layer.out.inputs, x.shape[1]))
        normed, gated = torch.empty_like(x), x.new_empty((rows, inner))
        self._library.layer_finish(
            ctypes.byref(team), ctypes.byref(layer), rows, x.data_ptr(), mixed.data_ptr(),
            normed.data_ptr(), gated.data_ptr(), sums.data_ptr(),
        )  # fmt: skip

    def attend(
        self,
        tokens: tuple[Tensor, Tensor, Tensor],
        scale: float,
        pieces: Sequence[int],
        ends: Sequence[int],
        lengths: Sequence[int],
    ) -> Tensor:
        """Cache keys and values of one token a row, and attend: [R, H * D].

        `tokens` are queries [R, H, D], keys and values [R, K, D], views with one stride between
        rows. `pieces` are five integers each: addresses of keys and values [K, entries, D],
        their strides from head to head, and entries. `ends` [R] says where the pieces of each
        row end; its last piece has room for the new token as its newest entry.
        """
        queries, keys, values = tokens
        rows, heads, size = queries.shape
        kv_heads, chunks = keys.shape[1], -(-max(lengths) // CHUNK)
        mixed = queries.new_empty((rows, heads * size))
        partial = torch.empty(rows * heads * chunks * (2 + size))
        tables = [array("q", table) for table in (pieces, ends, lengths)]
        where, until, counts = (table.buffer_info()[0] for table in tables)
        self._library.attend(
            ctypes.byref(self._team()), rows, kv_heads, heads // kv_heads, size, scale,
            queries.data_ptr(), keys.data_ptr(), values.data_ptr(), queries.stride(0),
            where, until, counts, chunks,
            partial.data_ptr(), mixed.data_ptr(),
        )  # fmt: skip
        return mixed

    def pair_values(self, values: Tensor) -> Tensor:
        """Values [K, E, D] for `attend_prefill`: the values of two keys in an int32."""
        kv_heads, entries, size = values.shape
        rows = -(-entries // TILE_KEYS) * TILE_KEYS // 2
        paired = torch.empty(kv_heads, rows, size, dtype=torch.int32)
        self._library.pair_values(
            ctypes.byref(self._team()), kv_heads, entries, size, values.stride(0),
            values.data_ptr(), rows * size, paired.data_ptr(),
        )  # fmt: skip
        return paired

    def attend_prefill(
        self,
        queries: Tensor,
        scale: float,
        keys: Tensor,
        paired: Tensor,
        first: int,
        mixed: Tensor,
        blocks: SeenBlocks | None = None,
    ) -> None:
        """Causal attention of tokens that follow `first` entries, into mixed [T, H * D].

        queries [T, H, D], contiguous within a token; keys [K, E, D], contiguous within a head.
        With `blocks`, over the blocks of keys that the tokens see.
        """
        tokens, heads, size = queries.shape
        kv_heads = len(keys)
        self._library.attend_prefill(
            ctypes.byref(self._team()), kv_heads, heads // kv_heads, size, tokens, first,
            queries.data_ptr(), queries.stride(0), scale, keys.data_ptr(), keys.stride(0),
            paired.data_ptr(), paired.stride(0), mixed.data_ptr(),
            *(EVERY_BLOCK if blocks is None else blocks.arguments()),
        )  # fmt: skip

    def block_energies(
        self,
        queries: Tensor,
        scale: float,
        means: Tensor,
        first: int,
        alike: int,
        block: int,
    ) -> Tensor:
        """Sums of exponentials of scores against mean keys [K, n, D]: float32 [K, choices, n].

        Queries and `alike` are those of `attend_prefill`. The rows of a choice count for the blocks
        whose first key they see, if the last row sees all of the block. The largest score of a
        choice is the origin of its exponentials.
        """
        tokens, heads, size = queries.shape
        kv_heads, count, _ = means.shape
        group = heads // kv_heads
        choices = -(-(first + tokens) * group // alike) - first * group // alike
        energies = torch.zeros(kv_heads, choices, count)
        self._library.block_energies(
            ctypes.byref(self._team()), kv_heads, group, size, tokens, first,
            queries.data_ptr(), queries.stride(0), scale,
            means.data_ptr(), count, alike, block, choices, energies.data_ptr(),
        )  # fmt: skip
        return energies

    def window_rows(
        self, queries: Tensor, scale: float, keys: Tensor, weights: Tensor, sums: bool
    ) -> Tensor:
        """Attention rows of the newest queries [N, H, D], reduced over queries: float32 [H, E].

        Keys are those of `attend_prefill`, weights [N] float32. With `sums` weighted rows are
        added, otherwise the largest counts.
        """
        tokens, heads, size = queries.shape
        kv_heads, entries, _ = keys.shape
        reduced = torch.zeros(heads, entries)
        self._library.window_rows(
            ctypes.byref(self._team()), heads, heads // kv_heads, size, tokens, entries - tokens,
            queries.data_ptr(), queries.stride(0), scale, keys.data_ptr(), keys.stride(0),
            entries, weights.data_ptr(), sums, reduced.data_ptr(),
        )  # fmt: skip
        return reduced

    def _team(self) -> Team:
        threads = torch.get_num_threads()
        if threads not in self._teams:
            self._teams[threads] = Team(*self._openmp, threads)
        return self._teams[threads]

    def _scratch(self, team: Team, rows: int, inputs: int) -> Tensor:
        """Room for the sums of all groups, for every thread its own."""
        return torch.empty(team.threads * rows * (inputs // GROUP))


def _openmp() -> ctypes.CDLL:
    """The OpenMP runtime of this process: a preloaded one, else torch's."""
    everything = ctypes.CDLL(None)
    if hasattr(everything, _OPENMP[0]):
        return everything
    return ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
