"""Translates GGUF tensor names into those of transformers.

GGUF exports rename, stack and reorder tensors: some architectures interleave rotary rows, and Gemma
norms are stored plus one. This module undoes it all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.claims import shortened
from forethought.models.decoder.families import MOST_EXPERTS
from forethought.models.gguf.file import GgufFile, GgufTensor

_AGAIN = "fetch the file again"


@dataclass(frozen=True)
class Stored:
    """A published tensor's place in the file, and the changes that the export made."""

    tensor: GgufTensor
    interleaved_heads: int = 0
    """Number of heads whose rotary halves are interleaved by rows; 0 for none."""
    added: float = 0.0
    """The constant that was added to every value."""


_INTERLEAVED = ("llama", "mistral", "mixtral", "granite", "smollm3")
_OUTSIDE_LAYERS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_NOT_WEIGHTS = ("rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight")
_IN_LAYERS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
}
_SPECIAL = {
    "gemma3_text": {"ffn_norm": "pre_feedforward_layernorm"},
    "phi3": {"ffn_up": "mlp.gate_up_proj"},
    "mixtral": {"ffn_gate_inp": "block_sparse_moe.gate"},
}
_EXPERTS = {"ffn_gate_exps": "gate_proj", "ffn_up_exps": "up_proj", "ffn_down_exps": "down_proj"}
_MIXTRAL_EXPERTS = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}


def stored_tensors(file: GgufFile, config: Mapping[str, Any]) -> dict[str, Stored]:
    """All tensors by their transformers names.

    Raises UnsupportedModelError for an unexpected tensor: ignoring it could make the model silently
    wrong.
    """
    found: dict[str, Stored] = {}
    for tensor in file.tensors.values():
        for name, stored in () if tensor.name in _NOT_WEIGHTS else _renamed(tensor, config):
            if name in found:
                raise _unexpected(tensor, config["model_type"])
            found[name] = stored
    return found


def _renamed(tensor: GgufTensor, config: Mapping[str, Any]) -> Iterator[tuple[str, Stored]]:
    family = config["model_type"]
    added = 1.0 if family == "gemma3_text" and "norm" in tensor.name else 0.0
    if outside := _OUTSIDE_LAYERS.get(tensor.name):
        yield outside, Stored(tensor, added=added)
        return
    parts = re.fullmatch(r"blk\.([0-9]{1,5})\.(\w+)\.(weight|bias)", tensor.name)
    if parts is None:
        raise _unexpected(tensor, family)
    layer, inner, ending = parts.groups()
    if int(layer) >= config["num_hidden_layers"]:
        raise _unexpected(tensor, family)
    if inner in _EXPERTS:
        yield from _experts(tensor, f"model.layers.{layer}", _EXPERTS[inner], family)
        return
    name = {**_IN_LAYERS, **_SPECIAL.get(family, {})}.get(inner)
    if name is None:
        raise _unexpected(tensor, family)
    heads = _interleaved_heads(inner, config) if family in _INTERLEAVED else 0
    if heads and tensor.shape[0] % (2 * heads):
        raise DamagedFileError(
            f"{tensor.path}: {shortened(tensor.name)} has {tensor.shape[0]} rows for {heads} heads",
            _AGAIN,
        )
    yield f"model.layers.{layer}.{name}.{ending}", Stored(tensor, heads, added)


def _unexpected(tensor: GgufTensor, family: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"a {family} model with the tensor {shortened(tensor.name)} is not supported",
        "use another file of this model, or its safetensors",
    )


def _interleaved_heads(inner: str, config: Mapping[str, Any]) -> int:
    key = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}.get(inner)
    return int(config[key]) if key else 0


def _experts(
    tensor: GgufTensor, layer: str, name: str, family: str
) -> Iterator[tuple[str, Stored]]:
    if len(tensor.shape) != 3 or tensor.shape[0] > MOST_EXPERTS:
        raise DamagedFileError(
            f"{tensor.path}: {shortened(tensor.name)} has the shape {list(tensor.shape)}", _AGAIN
        )
    block, name = (
        ("block_sparse_moe", _MIXTRAL_EXPERTS[name]) if family == "mixtral" else ("mlp", name)
    )
    for expert in range(tensor.shape[0]):
        yield f"{layer}.{block}.experts.{expert}.{name}.weight", Stored(tensor.part(expert))
