"""Runs other causal models of transformers with the engine's attention.

The model runs without its KV cache and masks: its attention function, the seam, forwards to the
caller's `attend`. Architectures that bypass it, or mix tokens elsewhere, would be silently wrong.
Opening a model therefore compares its logits with and without the seam.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.records import LayerShape, ModelShape
from forethought.contracts.roles import Attend, Network, ShowInputs, ShowStates
from forethought.models.checkpoint.fingerprint import weights_fingerprint
from forethought.models.fallback.load import load_model, transformers_errors, unsupported
from forethought.models.fallback.self_check import CHECK_ROWS, RowAttention, row_positions
from forethought.models.fallback.shape import shape_of

SEAM = "forethought"
"""The seam's name among transformers' attention functions."""

_BATCH_DEPENDENT = ("dynamic", "longrope")
_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-3}  # relative to the largest logit


def open_fallback(folder: Path, *, device: str = "cpu") -> Network:
    """Load a transformers folder (safetensors only) and check it against itself.

    Raises UnsupportedModelError if transformers is missing, if attention bypasses the seam, or if
    the logits differ from the model's own. Raises DamagedFileError for unreadable files.
    """
    model = load_model(folder).to(device).eval()
    with transformers_errors(folder.name):
        return behind_seam(model)


class Fallback(Network):
    """A transformers model whose attention is computed by the caller."""

    def __init__(self, model: Any, shape: ModelShape) -> None:
        self.model = model
        self.shape = shape
        self.device = torch.device(model.device)
        self.dtype: torch.dtype = model.dtype

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the model's parameters."""
        return weights_fingerprint(dict(self.model.named_parameters()))

    def weight_bytes(self, phase: str, layers: int | None = None, tokens: int = 1) -> int:
        """Bytes of weights that a pass reads per token, in any phase."""
        used = len(self.shape.layers[:layers]) * self.shape.layer_parameters
        head = self.shape.head_parameters if layers is None else 0
        return (used + head) * int(self.model.dtype.itemsize)

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
        unwanted = logits_at is not None and not len(logits_at)
        stop = len(self.shape.layers) if layers is None and unwanted else layers
        serving = _CallerAttention(attend, stop)
        try:
            with _attention_by(serving), _states_shown(self.model, logits_at, final):
                return _logits(self.model, tokens, positions, logits_at)
        except _EnoughLayersError:
            return torch.empty((0, self.shape.vocabulary), device=tokens.device)


@contextmanager
def _states_shown(model: Any, rows: Tensor | None, final: ShowStates | None) -> Iterator[None]:
    """Show the inputs [R, hidden] of the output head."""
    head = model.get_output_embeddings()
    if final is None or head is None:
        yield
        return

    def show(module: Any, inputs: tuple[Tensor, ...]) -> None:
        states = inputs[0][0]
        final(states if rows is None or len(states) == len(rows) else states[rows])

    handle = head.register_forward_pre_hook(show)
    try:
        yield
    finally:
        handle.remove()


class _Attention(Protocol):
    """Computes the attention of one forward pass."""

    def compute(self, q: Tensor, k: Tensor, v: Tensor, settings: _Settings) -> Tensor:
        """q [N, H, D], k and v [N, K, D] to [N, H * D]."""
        ...


class _EnoughLayersError(Exception):
    """Ends a forward pass after the last requested layer."""


class _Settings:
    """Attention settings that a layer passes to the seam."""

    def __init__(self, stated: dict[str, Any]) -> None:
        self.scale: float | None = stated.get("scaling")
        self.window: int | None = stated.get("sliding_window")
        self.softcap: float | None = stated.get("softcap")
        self.sinks = stated.get("s_aux") is not None


class _CallerAttention:
    """Forwards each layer's attention to `attend`, in order."""

    def __init__(self, attend: Attend, stop: int | None) -> None:
        self.attend = attend
        self.stop = stop
        self.layer = 0

    def compute(self, q: Tensor, k: Tensor, v: Tensor, settings: _Settings) -> Tensor:
        mixed = self.attend(self.layer, q, k, v)
        self.layer += 1
        if self.layer == self.stop:
            raise _EnoughLayersError
        return mixed


class _RecordedAttention:
    """Computes exact attention and records each layer's settings."""

    def __init__(self) -> None:
        self.shapes: list[LayerShape] = []
        self.rows = RowAttention()

    def compute(self, q: Tensor, k: Tensor, v: Tensor, settings: _Settings) -> Tensor:
        heads, head_dim = q.shape[1:]
        if settings.sinks or v.shape[2] != head_dim:
            raise UnsupportedModelError(
                "this model has attention sinks, or values of another size than keys",
                "choose a model of another architecture",
            )
        scale = head_dim**-0.5 if settings.scale is None else float(settings.scale)
        window, softcap = settings.window, settings.softcap
        shape = LayerShape(heads, k.shape[1], head_dim, scale, window, softcap)
        self.shapes.append(shape)
        return self.rows.attend(len(self.shapes) - 1, shape, q, k, v)


_current: ContextVar[_Attention] = ContextVar("attention")


@contextmanager
def _attention_by(attention: _Attention) -> Iterator[None]:
    token = _current.set(attention)
    try:
        yield
    finally:
        _current.reset(token)


def _seam(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **stated: Any
) -> tuple[Tensor, None]:
    """The attention function that transformers calls; tensors are [1, heads, N, D]."""
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    mixed = _current.get().compute(q, k, v, _Settings(stated))
    return mixed.view(1, *q.shape[:2], -1), None


def _logits(model: Any, tokens: Tensor, positions: Tensor, rows: Tensor | None) -> Tensor:
    options: dict[str, Any] = {}
    early = rows is not None and "logits_to_keep" in inspect.signature(model.forward).parameters
    if early:
        options["logits_to_keep"] = rows
    found = model(
        input_ids=tokens[None], position_ids=positions[None], use_cache=False, **options
    ).logits[0]
    logits: Tensor = (found if rows is None or early else found[rows]).float()
    return logits


def _check_interface(model: Any) -> None:
    """Raise for models that lack an input, or whose errors show on long texts only."""
    config = model.config.get_text_config()
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise unsupported(config.model_type, "it takes no position ids")
    if not hasattr(config, "max_position_embeddings"):
        raise unsupported(config.model_type, "its configuration states no context length")
    kinds = set(getattr(config, "layer_types", None) or ()) - {
        "full_attention",
        "sliding_attention",
    }
    if kinds:
        raise unsupported(config.model_type, f"it has layers of {', '.join(sorted(kinds))}")
    rope = getattr(config, "rope_parameters", None) or {}
    nested = [part for part in rope.values() if isinstance(part, dict)]
    for part in nested or [rope]:
        if part.get("rope_type") in _BATCH_DEPENDENT:
            why = f"with {part['rope_type']} positions a row's result depends on other rows"
            raise unsupported(config.model_type, why)


@torch.inference_mode()
def behind_seam(model: Any) -> Fallback:
    """Put a transformers model behind the seam, if packed logits equal its own per row.

    Raises UnsupportedModelError otherwise. The model must be loaded with eager attention.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(SEAM, _seam)
    _check_interface(model)
    name = model.config.model_type
    own = torch.cat([_own_logits(model, row) for row in CHECK_ROWS])
    model.set_attn_implementation(SEAM)
    seen, shapes = _seam_logits(model)
    layers = model.config.get_text_config().num_hidden_layers
    if len(shapes) != layers:
        why = f"only {len(shapes)} of its {layers} layers call the attention function"
        raise unsupported(name, why)
    _check_windows(model, shapes)
    off = float((seen - own).abs().max() / own.abs().max())
    if not off <= _TOLERANCE.get(model.dtype, 0.06):
        raise unsupported(name, f"its logits differ by {off:.1%} behind the attention seam")
    return Fallback(model, shape_of(model, shapes))


def _own_logits(model: Any, row: list[int]) -> Tensor:
    tokens = torch.tensor(row, device=model.device)
    return _logits(model, tokens, torch.arange(len(row), device=model.device), None)


def _seam_logits(model: Any) -> tuple[Tensor, list[LayerShape]]:
    """Logits of all check rows, packed and in two passes, with the layers' shapes."""
    rows, shapes, parts = RowAttention(), [], []
    for tokens, positions, counts in row_positions():
        recorded = _RecordedAttention()
        recorded.rows = rows
        rows.counts = counts
        with _attention_by(recorded):
            place = tokens.to(model.device), positions.to(model.device)
            parts.append(torch.split(_logits(model, *place, None), counts))
        shapes = recorded.shapes
    return torch.cat([torch.cat(halves) for halves in zip(*parts, strict=True)]), shapes


def _check_windows(model: Any, shapes: list[LayerShape]) -> None:
    """Raise if only the model's masks know its sliding window, which the short check misses."""
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    used = getattr(config, "use_sliding_window", True)
    if window is None or not used:
        return
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        lost = all(shape.window is None for shape in shapes)
    else:
        lost = [shape.window is not None for shape in shapes] != [
            kind == "sliding_attention" for kind in kinds
        ]
    if lost:
        raise unsupported(config.model_type, "its layers do not pass on their sliding windows")
