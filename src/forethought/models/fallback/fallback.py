"""Any other causal model of transformers, through the same attention seam as our decoder.

The model runs without its cache and without its masks: its attention function is ours and
asks whoever called `forward`. Some architectures never call that function, or mix tokens
elsewhere too, and would be silently wrong; so opening a model compares it with itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from forethought.contracts.errors import UnsupportedModelError
from forethought.contracts.records import LayerShape, ModelShape
from forethought.contracts.roles import Attend, Network
from forethought.models.fallback.load import load_model, transformers_errors, unsupported
from forethought.models.fallback.self_check import CHECK_ROWS, RowAttention, row_positions
from forethought.models.fallback.shape import shape_of

SEAM = "forethought"
"""Our name among the attention functions of transformers."""

_BATCH_DEPENDENT = ("dynamic", "longrope")
_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-3}  # of the largest logit; 16 bit: 0.06


def open_fallback(folder: Path, *, device: str = "cpu") -> Network:
    """The model in a transformers folder (safetensors only), checked against itself.

    Raises UnsupportedModelError where transformers is missing, where the architecture does
    not route all its attention through the seam, or where the result differs from the
    model's own; DamagedFileError where the folder cannot be read.
    """
    model = load_model(folder).to(device).eval()
    with transformers_errors(folder.name):
        return behind_seam(model)


class Fallback(Network):
    """A transformers model that leaves attention to the caller."""

    def __init__(self, model: Any, shape: ModelShape) -> None:
        self.model = model
        self.shape = shape
        self.device = torch.device(model.device)
        self.dtype: torch.dtype = model.dtype

    def weight_bytes(self, phase: str, layers: int | None = None, tokens: int = 1) -> int:
        """Bytes of weights that one pass reads for one token, whatever its phase."""
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
    ) -> Tensor:
        """Logits [R, V] (float32) of rows `logits_at`; see `Network.forward`."""
        unwanted = logits_at is not None and not len(logits_at)
        stop = len(self.shape.layers) if layers is None and unwanted else layers
        serving = _Serving(attend, stop)
        try:
            with _answered_by(serving):
                return _logits(self.model, tokens, positions, logits_at)
        except _EnoughLayersError:
            return torch.empty((0, self.shape.vocabulary), device=tokens.device)


class _Answer(Protocol):
    """Whoever answers the attention calls of one forward pass."""

    def answer(self, q: Tensor, k: Tensor, v: Tensor, settings: _Settings) -> Tensor:
        """q [N, H, D], k and v [N, K, D] to [N, H * D]."""
        ...


class _EnoughLayersError(Exception):
    """Ends a forward pass whose later layers nobody wants."""


class _Settings:
    """What a layer says about its attention when it calls the seam."""

    def __init__(self, stated: dict[str, Any]) -> None:
        self.scale: float | None = stated.get("scaling")
        self.window: int | None = stated.get("sliding_window")
        self.softcap: float | None = stated.get("softcap")
        self.sinks = stated.get("s_aux") is not None


class _Serving:
    """Hands every layer to `attend`, in order."""

    def __init__(self, attend: Attend, stop: int | None) -> None:
        self.attend = attend
        self.stop = stop
        self.layer = 0

    def answer(self, q: Tensor, k: Tensor, v: Tensor, settings: _Settings) -> Tensor:
        mixed = self.attend(self.layer, q, k, v)
        self.layer += 1
        if self.layer == self.stop:
            raise _EnoughLayersError
        return mixed


class _Learning:
    """Answers by the definition of attention and notes what each layer asked for."""

    def __init__(self) -> None:
        self.shapes: list[LayerShape] = []
        self.rows = RowAttention()

    def answer(self, q: Tensor, k: Tensor, v: Tensor, settings: _Settings) -> Tensor:
        heads, head_dim = q.shape[1:]
        if settings.sinks or v.shape[2] != head_dim:
            raise UnsupportedModelError(
                "this model's attention has learned sinks, or values of another size than keys",
                "choose a model of another architecture",
            )
        scale = head_dim**-0.5 if settings.scale is None else float(settings.scale)
        window, softcap = settings.window, settings.softcap
        shape = LayerShape(heads, k.shape[1], head_dim, scale, window, softcap)
        self.shapes.append(shape)
        return self.rows.attend(len(self.shapes) - 1, shape, q, k, v)


_answering: ContextVar[_Answer] = ContextVar("answering")


@contextmanager
def _answered_by(answer: _Answer) -> Iterator[None]:
    token = _answering.set(answer)
    try:
        yield
    finally:
        _answering.reset(token)


def _seam(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Any, **stated: Any
) -> tuple[Tensor, None]:
    """The attention function transformers calls; tensors are [1, heads, N, D]."""
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    mixed = _answering.get().answer(q, k, v, _Settings(stated))
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


def _refuse_what_no_check_can_show(model: Any) -> None:
    """Refuse what cannot be asked for, or goes wrong only on texts too long for a check."""
    config = model.config.get_text_config()
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise unsupported(config.model_type, "it cannot be told where its tokens stand")
    if not hasattr(config, "max_position_embeddings"):
        raise unsupported(config.model_type, "it states no longest context")
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
    """A transformers model behind the seam, if its packed logits equal its own row by row.

    Raises UnsupportedModelError otherwise. The model must attend eagerly when it comes.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(SEAM, _seam)
    _refuse_what_no_check_can_show(model)
    name = model.config.model_type
    own = torch.cat([_own_logits(model, row) for row in CHECK_ROWS])
    model.set_attn_implementation(SEAM)
    seen, shapes = _seam_logits(model)
    layers = model.config.get_text_config().num_hidden_layers
    if len(shapes) != layers:
        why = f"{len(shapes)} of its {layers} layers leave their attention to us"
        raise unsupported(name, why)
    _refuse_hidden_windows(model, shapes)
    off = float((seen - own).abs().max() / own.abs().max())
    if not off <= _TOLERANCE.get(model.dtype, 0.06):
        raise unsupported(name, f"its logits come out {off:.1%} off")
    return Fallback(model, shape_of(model, shapes))


def _own_logits(model: Any, row: list[int]) -> Tensor:
    tokens = torch.tensor(row, device=model.device)
    return _logits(model, tokens, torch.arange(len(row), device=model.device), None)


def _seam_logits(model: Any) -> tuple[Tensor, list[LayerShape]]:
    """Logits of all check rows: packed, read in two passes; and what the layers asked for."""
    rows, shapes, parts = RowAttention(), [], []
    for tokens, positions, counts in row_positions():
        learning = _Learning()
        learning.rows = rows
        rows.counts = counts
        with _answered_by(learning):
            place = tokens.to(model.device), positions.to(model.device)
            parts.append(torch.split(_logits(model, *place, None), counts))
        shapes = learning.shapes
    return torch.cat([torch.cat(halves) for halves in zip(*parts, strict=True)]), shapes


def _refuse_hidden_windows(model: Any, shapes: list[LayerShape]) -> None:
    """A window that only the model's masks know would be lost, and the check is too short."""
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
        raise unsupported(config.model_type, "its layers do not state their sliding windows")
