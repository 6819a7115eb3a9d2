"""Writes small GGUF files as exporters do, and knows what went in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

HIDDEN, HEADS, KV_HEADS, WIDTH, LAYERS = 64, 4, 2, 96, 2
HEAD_DIM = HIDDEN // HEADS
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ALPHABET = sorted(ByteLevel.alphabet())
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "i m", "1 2"]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def vocabulary() -> list[str]:
    return [*CONTROL, *ALPHABET, *(merge.replace(" ", "") for merge in MERGES)]


@dataclass
class TinyLlama:
    """A llama with random weights, under the names of transformers."""

    seed: int = 0
    tensors: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        shapes = {
            "self_attn.q_proj": (HIDDEN, HIDDEN),
            "self_attn.k_proj": (KV_HEADS * HEAD_DIM, HIDDEN),
            "self_attn.v_proj": (KV_HEADS * HEAD_DIM, HIDDEN),
            "self_attn.o_proj": (HIDDEN, HIDDEN),
            "mlp.gate_proj": (WIDTH, HIDDEN),
            "mlp.up_proj": (WIDTH, HIDDEN),
            "mlp.down_proj": (HIDDEN, WIDTH),
            "input_layernorm": (HIDDEN,),
            "post_attention_layernorm": (HIDDEN,),
        }
        every = {
            f"model.layers.{i}.{name}.weight": shape
            for i in range(LAYERS)
            for name, shape in shapes.items()
        }
        every["model.embed_tokens.weight"] = (len(vocabulary()), HIDDEN)
        every["model.norm.weight"] = (HIDDEN,)
        for name, shape in every.items():
            mean = 1.0 if "norm" in name else 0.0
            values = rng.normal(mean, 0.1, shape)
            self.tensors[name] = values.astype(np.float32)


EXPORTED = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTSIDE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
}


def exported_name(name: str) -> str:
    if name in OUTSIDE:
        return OUTSIDE[name]
    _, _, layer, *inner = name.removesuffix(".weight").split(".")
    return f"blk.{layer}.{EXPORTED['.'.join(inner)]}.weight"


def interleaved(weight: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows (head, half, i) in the order (head, i, half)."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return np.stack([halves[:, 0], halves[:, 1]], axis=2).reshape(rows, columns)


def write_llama(
    path: Path,
    model: TinyLlama,
    *,
    kind: str = "F32",
    template: str = TEMPLATE,
    architecture: str = "llama",
    extra: dict[str, np.ndarray[Any, Any]] | None = None,
) -> None:
    """Write `model` with its matrices stored as `kind`."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    write_vocabulary(writer)
    if template:
        writer.add_chat_template(template)
    for name, values in model.tensors.items():
        if "q_proj" in name or "k_proj" in name:
            values = interleaved(values, HEADS if "q_proj" in name else KV_HEADS)
        add(writer, exported_name(name), values, "F32" if "norm" in name else kind)
    for name, values in (extra or {}).items():
        add(writer, name, values, "F32")
    close(writer)


def write_vocabulary(writer: gguf.GGUFWriter, split: str = "smollm") -> None:
    texts = vocabulary()
    control = len(CONTROL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(split)
    writer.add_token_list(texts)
    writer.add_token_types([3] * control + [1] * (len(texts) - control))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


def add(writer: gguf.GGUFWriter, name: str, values: np.ndarray[Any, Any], kind: str) -> None:
    if kind == "F32" or values.ndim == 1:
        writer.add_tensor(name, values)
        return
    stored = gguf.GGMLQuantizationType[kind]
    writer.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)


def close(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
