"""The decoder: one network for all families, with attention computed by the caller.

Tokens of all sequences are packed along one axis: there is no KV cache, mask or batch axis here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from forethought.contracts.errors import MAKE_ANEW, DamagedFileError
from forethought.contracts.neurons import NeuronChoice
from forethought.contracts.roles import Attend, Network, ShowInputs, ShowStates
from forethought.models.checkpoint.fingerprint import weights_fingerprint
from forethought.models.checkpoint.shapes import check_shape
from forethought.models.compiled.available import kernels
from forethought.models.compiled.layer import compiled
from forethought.models.decoder.calibrate import (
    PARTS,
    CalibratedFormat,
    decode_format,
    prefill_format,
)
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.eight_bit_prefill import scoring_layer
from forethought.models.decoder.layer import Layer
from forethought.models.decoder.layer_builder import LayerBuilder
from forethought.models.decoder.linear import Linear, build_linears, pairs_saturate
from forethought.models.decoder.neurons import (
    dense_mlp,
    showing_layer,
    sliced_layer,
    top_neurons_layer,
)
from forethought.models.decoder.quantise import pack_head, pack_levels, packed_name, quantise4
from forethought.models.decoder.rope import Rope
from forethought.models.hardware.processor import has_memory_for
from forethought.models.hardware.sliced_task import pause

DENSE_FILE = "model.safetensors"
"""Every tensor under its canonical name."""
_TORCH = ("int4+rows", "int4+planes")
"""4-bit formats that need no compiled kernels."""


def open_decoder(
    folder: Path, config: DecoderConfig, *, weights: str, device: str, rows: int = 1
) -> Decoder:
    """Open the decoder in `folder`, with memory-mapped tensors.

    "auto" decodes with the faster of bf16 and, if they are packed, 4-bit weights, for `rows`
    sequences at once. 4-bit weights come with the head layout that is faster on this machine.
    Missing 4-bit weights are packed in memory, which takes seconds. Raises DamagedFileError for a
    truncated file or a missing tensor.
    """
    tensors = _mapped(folder / DENSE_FILE, device)
    for name, tensor in tensors.items():
        check_shape(config, name, tuple(tensor.shape), str(folder / DENSE_FILE))
    there = (folder / packed_name()).exists()
    on_auto = weights == "auto" and device == "cpu"
    wants_packed = weights == "int4" or (weights == "auto" and there)
    try:
        packed = _packed(folder, config, tensors, device) if wants_packed else {}
        if packed:
            four = ("compiled",) if kernels() else _TORCH
            candidates = (*four, "bf16") if weights == "auto" else four
            found = _fastest(folder, config, tensors, packed, candidates, rows)
        else:
            found = CalibratedFormat("bf16" if weights == "auto" else weights)
        decoder = Decoder(config, tensors, build_linears(tensors, packed, found.format))
        decoder.weight_format = _named(found.format)
        for name, seconds in found.seconds.items():
            fastest = min(seconds, decoder.format_seconds.get(_named(name), seconds))
            decoder.format_seconds = {**decoder.format_seconds, _named(name): fastest}
        decoder.eight_bits_win = partial(_eight_bits_win, folder, tensors, on_auto)
        return decoder
    except KeyError as missing:
        raise DamagedFileError(
            f"{folder / DENSE_FILE} has no tensor {missing.args[0]!r}",
            MAKE_ANEW,
        ) from missing


def _fastest(
    folder: Path,
    config: DecoderConfig,
    tensors: Mapping[str, Tensor],
    packed: Mapping[str, Tensor],
    candidates: Sequence[str],
    rows: int,
) -> CalibratedFormat:
    layers = [
        [name for part in PARTS if f"{(name := f'layers.{i}.{part}')}.weight" in tensors]
        for i in range(config.layers)
    ]
    build = partial(build_linears, tensors, packed)
    return decode_format(folder, build, candidates, layers, rows)


def _named(format: str) -> str:
    """The weight format of a kind of linears: several kinds decode with 4-bit weights."""
    return "int4" if format == "compiled" else format.partition("+")[0]


def _eight_bits_win(folder: Path, tensors: Mapping[str, Tensor], asked: bool) -> bool:
    """Whether 8-bit products are faster in prefill, where the user left the format open."""
    names = [name for part in PARTS if f"{(name := f'layers.0.{part}')}.weight" in tensors]
    if not asked or not names or kernels() is None or pairs_saturate():
        return False
    if not has_memory_for(sum(tensor.nbytes for tensor in tensors.values()) // 2):
        return False
    return prefill_format(folder, partial(build_linears, tensors, {}), names) == "w8a8"


def _mapped(file: Path, device: str) -> dict[str, Tensor]:
    try:
        return load_file(file, device=device)
    except (OSError, SafetensorError) as error:
        raise DamagedFileError(f"{file} cannot be read: {error}", MAKE_ANEW) from error


def _packed(
    folder: Path, config: DecoderConfig, tensors: Mapping[str, Tensor], device: str
) -> dict[str, Tensor]:
    if (folder / packed_name()).exists():
        return _mapped(folder / packed_name(), device)
    head = tensors["embed.weight" if config.tied else "head.weight"]
    packed = {f"head.{suffix}": made for suffix, made in pack_head(head).items()}
    for name, weight in tensors.items():
        owner, _, kind = name.rpartition(".")
        if kind == "weight" and owner.rpartition(".")[2] in PARTS:
            levels = pack_levels(quantise4(weight))
            packed |= {f"{owner}.{suffix}": made for suffix, made in levels.items()}
    return packed


class Decoder(Network):
    """A decoder of any supported family, over tensors with the names of `names`."""

    def __init__(
        self,
        config: DecoderConfig,
        tensors: Mapping[str, Tensor],
        linear: Callable[[str], Linear],
    ) -> None:
        self.config = config
        self.shape = config.shape
        self.embedding = tensors["embed.weight"]
        self.dtype = self.embedding.dtype
        device = self.device = self.embedding.device
        self._tensors = tensors
        self._scale = torch.tensor(config.embedding_scale, dtype=self.dtype, device=device)
        self._ropes = [Rope(settings, device) for settings in config.ropes]
        build = LayerBuilder(config, tensors, linear)
        self._layers = [build.layer(i) for i in range(config.layers)]
        self._norm = build.norm("norm")
        self._head = linear("head")
        self._longer: Decoder | None = None
        self._scorer: Decoder | None = None
        self._shallow: dict[int, Decoder] = {}
        """By number of first layers."""
        self._sparser: dict[int, Decoder] = {}
        """By number of neurons that each token uses."""
        self._shows_all = False
        """Whether the last layer runs for tokens without logits too."""
        self.eight_bits_win: Callable[[], bool] = lambda: False
        """Whether 8-bit products are faster in prefill."""
        self._bytes: dict[tuple[str, int | None, int], int] = {}  # read at every step

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the weights as published: equal in all formats of this machine."""
        return weights_fingerprint(self._tensors)

    @property
    def capturable(self) -> bool:
        """Whether a decode pass never reads a value of its device on the host."""
        return not self.config.expert_layers  # the host sorts tokens by their experts

    def for_long_texts(self) -> Network:
        """The same weights with rotary frequencies for texts beyond the context, if they differ."""
        if not self.config.long_context:
            return self
        if self._longer is None:  # one object, as caches tell networks apart by identity
            longer = self._longer = self._sized(self.config.for_long_texts())
            longer._ropes = [Rope(settings, self.device) for settings in longer.config.ropes]
        return self._longer

    def first_layers(self, count: int) -> Network:
        """The first layers with the norm and the head behind the last one."""
        count = min(count, self.config.layers)
        if count == self.config.layers:
            return self
        if count not in self._shallow:
            made = self._shallow[count] = copy(self)
            made.config = replace(self.config, layers=count)
            made.shape = replace(self.shape, layers=self.shape.layers[:count])
            made._layers = self._layers[:count]
            made._forget()
        return self._shallow[count]

    def _forget(self) -> None:
        """Drop what a copy has derived from the layers of another decoder."""
        self._bytes, self._shallow, self._sparser = {}, {}, {}
        self._longer = self._scorer = None

    @property
    def neurons(self) -> int:
        """Neurons of the MLP in each layer; UnsupportedModelError for experts."""
        for layer in self._layers:
            dense_mlp(layer)
        return self.config.intermediate

    def showing(self, choice: NeuronChoice) -> Network:
        """The same network; its prefills show the activations of every MLP."""
        shown = copy(self)
        shown._layers = [
            showing_layer(layer, partial(choice.see, i)) for i, layer in enumerate(self._layers)
        ]
        shown._shows_all = True
        shown._forget()
        return shown

    def with_neurons(self, kept: Sequence[Tensor]) -> Network:
        """The network for decode passes with these neurons of each layer."""
        made = self._sized(replace(self.config, intermediate=len(kept[0])))
        made._layers = []
        for layer, own in zip(self._layers, kept, strict=True):
            made._layers.append(compiled(sliced_layer(layer, own), self.config.activation))
            pause()  # 4-bit weights take long
        return made

    def with_top_neurons(self, count: int) -> Network:
        """The network whose decode passes use the `count` strongest gates of each token."""
        if count not in self._sparser:
            made = self._sized(replace(self.config, used_neurons=count))
            made._layers = [top_neurons_layer(layer, count) for layer in self._layers]
            self._sparser[count] = made
        return self._sparser[count]

    def _sized(self, config: DecoderConfig) -> Decoder:
        """A copy with another configuration of the same layers."""
        made = copy(self)
        made.config, made.shape = config, config.shape
        made._forget()
        return made

    def for_scores(self) -> Network:
        """The same weights with 8-bit products in prefill, if these are faster; else itself."""
        if self._scorer is None:
            self._scorer = self._in_eight_bits() if self.eight_bits_win() else self
        return self._scorer

    def _in_eight_bits(self) -> Decoder:
        scorer = copy(self)
        scorer._layers = [
            scoring_layer(layer, self.config.activation, self._rotary(layer))
            for layer in self._layers
        ]
        scorer._forget()
        scorer._scorer = scorer
        return scorer

    def _rotary(self, layer: Layer) -> int | None:
        """The dimensions of a layer's heads that RoPE turns."""
        return None if layer.rope is None else 2 * len(self._ropes[layer.rope].frequencies)

    def rotate(self, layer: int, vectors: Tensor, positions: Tensor) -> Tensor:
        """Rotate vectors [N, any, D] by `positions` [N]; unchanged in layers without rotary
        embedding."""
        rope = self._layers[layer].rope
        return vectors if rope is None else self._ropes[rope].rotate(vectors, positions)

    def output_weights(self, layer: int) -> Tensor:
        """[H, D, hidden] the output projection of each head, in float32."""
        own = self._layers[layer]
        size = own.heads * own.head_dim
        # Through the product itself, since its weights may be packed; the last row is the bias.
        axes = torch.eye(size + 1, size, dtype=self.dtype, device=self.device)
        projected = own.out(axes, "prefill").float()
        return (projected[:-1] - projected[-1]).view(own.heads, own.head_dim, -1)

    def weight_bytes(self, phase: str, layers: int | None = None, tokens: int = 1) -> int:
        """Bytes of weights that one pass of this phase reads for so many tokens."""
        case = (phase, layers, tokens)
        if case not in self._bytes:
            used = sum(layer.weight_bytes(phase, tokens) for layer in self._layers[:layers])
            self._bytes[case] = used + (self._head.bytes(phase) if layers is None else 0)
        return self._bytes[case]

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        attend: Attend,
        *,
        phase: str,
        logits_at: Tensor | None = None,
        layers: int | None = None,
        show: ShowInputs | None = None,
        final: ShowStates | None = None,
    ) -> Tensor:
        """Logits [R, V] (float32) of rows `logits_at`; see `Network.forward`."""
        x = F.embedding(tokens, self.embedding)
        if self.config.embedding_scale != 1.0:
            x = x.mul_(self._scale)
        turns = [rope.at(positions, self.dtype) for rope in self._ropes]
        last = self.config.layers - 1 if layers is None else layers - 1
        for i, layer in enumerate(self._layers[: last + 1]):
            turn = None if layer.rope is None else turns[layer.rope]
            if show is not None:
                show(i, partial(layer.normed, x))
            mixed = attend(i, *layer.attention_inputs(x, turn, phase))
            if i < last:
                layer.finish_(x, mixed, phase)
            elif layers is None:
                return self._logits(layer, x, mixed, phase, logits_at, final)
        return x.new_empty((0, self.config.vocabulary), dtype=torch.float32)

    def _logits(
        self,
        layer: Layer,
        x: Tensor,
        mixed: Tensor,
        phase: str,
        rows: Tensor | None,
        final: ShowStates | None,
    ) -> Tensor:
        """Finish the last layer and apply the head, for the requested rows only."""
        if self._shows_all:
            layer.finish_(x, mixed, phase)
            return self._head_logits(x if rows is None else x[rows], phase, final)
        if rows is not None:
            x, mixed = x[rows], mixed[rows]
        if len(x):
            layer.finish_(x, mixed, phase)
        return self._head_logits(x, phase, final)

    def _head_logits(self, x: Tensor, phase: str, final: ShowStates | None) -> Tensor:
        """The logits of rows of the residual stream [R, hidden]."""
        if not len(x):
            return x.new_empty((0, self.config.vocabulary), dtype=torch.float32)
        states = self._norm(x)
        if final is not None:
            final(states)
        logits = self._head(states, phase).float()
        if self.config.logit_scale != 1.0:
            logits = logits.mul_(self.config.logit_scale)
        cap = self.config.logit_softcap
        return logits if cap is None else logits.div_(cap).tanh_().mul_(cap)
