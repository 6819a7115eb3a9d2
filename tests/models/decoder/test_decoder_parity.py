from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from forethought.contracts.errors import DamagedFileError
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import Decoder, open_decoder
from tests.models.plain_attention import PlainAttention
from tests.models.random_models import canonical, decoder_like, random_model, stock_logits

LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
MOE = {"num_experts_per_tok": 2, "num_local_experts": 5}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-biased": ("llama", {"attention_bias": True, "mlp_bias": True, "head_dim": 20}),
    "llama3": ("llama", {"rope_parameters": LLAMA3}),
    "linear": (
        "llama",
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}},
    ),
    "yarn": (
        "llama",
        {
            "head_dim": 64,
            "rope_parameters": {
                "rope_type": "yarn",
                "factor": 4.0,
                "rope_theta": 1e4,
                "original_max_position_embeddings": 32,
            },
        },
    ),
    "smollm2": ("llama", {"tie_word_embeddings": True, "num_attention_heads": 6}),
    "mistral": ("mistral", {"sliding_window": 5}),
    "qwen2": ("qwen2", {}),
    "qwen2-windowed": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 2},
    ),
    "qwen3": ("qwen3", {"head_dim": 16}),
    "smollm3": ("smollm3", {"no_rope_layer_interval": 2}),
    "gemma3": (
        "gemma3_text",
        {"head_dim": 16, "sliding_window": 4, "query_pre_attn_scalar": 9, "num_hidden_layers": 7},
    ),
    "gemma3-capped": (
        "gemma3_text",
        {"head_dim": 16, "sliding_window": 4, "final_logit_softcapping": 3.0},
    ),
    "phi3": (
        "phi3",
        {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}},
    ),
    "olmo2": ("olmo2", {}),
    "granite": (
        "granite",
        {
            "embedding_multiplier": 12.0,
            "attention_multiplier": 0.2,
            "residual_multiplier": 0.4,
            "logits_scaling": 7.0,
        },
    ),
    "mixtral": ("mixtral", MOE),
    "qwen3_moe": (
        "qwen3_moe",
        {
            "num_experts": 6,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "decoder_sparse_step": 2,
            "norm_topk_prob": True,
            "head_dim": 16,
        },
    ),
    "qwen3_moe-plain": (
        "qwen3_moe",
        {
            "num_experts": 6,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 24,
            "mlp_only_layers": [1],
        },
    ),
}
WIDE = {"hidden_size": 64, "vocab_size": 96, "tie_word_embeddings": True}
"""Sizes the 4-bit kernel takes."""
PROMPTS = [[5, 17, 3, 60, 8, 9, 33, 2, 71], [44], [9, 9, 12, 90, 1, 7, 13, 22, 31, 54, 76, 11]]


@pytest.mark.parametrize("name", FAMILIES)
def test_packed_prompts_give_the_logits_of_transformers(name: str) -> None:
    kind, settings = FAMILIES[name]
    model = random_model(kind, **settings)

    logits = packed(decoder_like(model), PROMPTS)

    assert (logits - stock_logits(model, PROMPTS)).abs().max() < 1e-4


@pytest.mark.parametrize("name", FAMILIES)
def test_single_token_steps_after_a_prefill_give_the_logits_of_transformers(name: str) -> None:
    kind, settings = FAMILIES[name]
    model = random_model(kind, seed=1, **settings)
    expected = torch.cat([part[-3:] for part in stock_logits(model, PROMPTS[::2]).split([9, 12])])

    logits = stepped(decoder_like(model), PROMPTS[::2], steps=3)

    assert (logits - expected).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["llama", "gemma3", "olmo2", "mixtral", "phi3"])
def test_other_dtypes_run_and_stay_near_float32(name: str, dtype: torch.dtype) -> None:
    kind, settings = FAMILIES[name]
    model = random_model(kind, **{**settings, "initializer_range": 0.1})
    expected = stock_logits(model, PROMPTS)

    logits = packed(decoder_like(model, dtype), PROMPTS)

    assert logits.dtype == torch.float32
    allowed = 1e-4 if dtype == torch.float64 else 0.06 * expected.abs().max()
    assert (logits - expected).abs().max() < allowed


@pytest.mark.parametrize("rows", [[0], [20, 3], []])
def test_only_the_wanted_rows_get_logits(rows: list[int]) -> None:
    decoder = decoder_like(random_model("gemma3_text", head_dim=16))
    every = packed(decoder, PROMPTS)

    wanted = packed(decoder, PROMPTS, logits_at=torch.tensor(rows, dtype=torch.long))

    assert wanted.shape == (len(rows), 97)
    torch.testing.assert_close(wanted, every[rows])


def test_every_layer_attends_to_every_token_even_where_no_logits_are_wanted() -> None:
    decoder = decoder_like(random_model("llama"))
    attend = PlainAttention(decoder.shape, [4])

    run(decoder, [[1, 2, 3, 4]], attend, logits_at=torch.tensor([], dtype=torch.long))

    assert attend.layers_seen == [0, 1, 2, 3]
    assert attend.keys[3, 0].shape == (4, 2, 12)


def test_stopping_early_shows_the_first_layers_and_gives_no_logits() -> None:
    decoder = decoder_like(random_model("llama"))
    attend = PlainAttention(decoder.shape, [4])

    logits = run(decoder, [[1, 2, 3, 4]], attend, layers=2)

    assert attend.layers_seen == [0, 1]
    assert logits.shape == (0, 97)


def test_long_prompts_are_computed_in_blocks_without_changing_the_logits() -> None:
    model = random_model("qwen3", head_dim=16, max_position_embeddings=2048)
    prompt = torch.randint(0, 97, (1300,), generator=torch.Generator().manual_seed(0)).tolist()
    last = torch.tensor([0, 511, 512, 1299])

    logits = packed(decoder_like(model), [prompt], logits_at=last)

    assert (logits - stock_logits(model, [prompt])[last]).abs().max() < 1e-4


@pytest.mark.parametrize("length", [12, 40])
def test_longrope_matches_transformers_below_and_beyond_the_first_context(length: int) -> None:
    scaling = {
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0, 1.1, 1.2, 1.3, 1.5, 2.0],
        "long_factor": [1.5, 2.0, 2.5, 3.0, 4.0, 8.0],
        "original_max_position_embeddings": 16,
    }
    model = random_model("phi3", rope_parameters=scaling, original_max_position_embeddings=16)
    prompt = [(7 * i) % 97 for i in range(length)]
    decoder = decoder_like(model)
    if length > decoder.shape.context:
        decoder = decoder.for_long_texts()

    logits = packed(decoder, [prompt])

    assert decoder.shape.context >= length
    assert (logits - stock_logits(model, [prompt])).abs().max() < 1e-4


@pytest.mark.parametrize("weights", ["bf16", "int4"])
def test_a_stored_decoder_gives_the_logits_it_was_made_of(weights: str, tmp_path: Path) -> None:
    model = random_model("qwen2", initializer_range=0.1, **WIDE)
    config = stored(model, tmp_path)
    expected = packed(decoder_like(model, torch.bfloat16), PROMPTS)

    decoder = open_decoder(tmp_path, config, weights=weights, device="cpu")

    assert torch.equal(packed(decoder, PROMPTS), expected)
    assert decoder.weight_bytes("prefill") > 2 * 4 * decoder.shape.layer_parameters


def test_a_decoder_with_four_bit_weights_writes_nearly_the_same_logits(tmp_path: Path) -> None:
    model = random_model("qwen2", initializer_range=0.1, **WIDE)
    config = stored(model, tmp_path)
    exact = stepped(decoder_like(model, torch.bfloat16), PROMPTS[::2], steps=3)

    decoder = open_decoder(tmp_path, config, weights="int4", device="cpu")
    logits = stepped(decoder, PROMPTS[::2], steps=3)

    alike = torch.cosine_similarity(logits, exact, dim=-1)
    assert 0.95 < alike.min() < 0.99999
    assert decoder.weight_bytes("decode") < 0.5 * decoder.weight_bytes("prefill")


def test_a_truncated_file_is_called_damaged(tmp_path: Path) -> None:
    config = stored(random_model("llama"), tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])

    with pytest.raises(DamagedFileError, match="cannot be read"):
        open_decoder(tmp_path, config, weights="bf16", device="cpu")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    config = stored(random_model("llama"), tmp_path, without="layers.2.mlp_norm.weight")

    with pytest.raises(DamagedFileError, match="mlp_norm"):
        open_decoder(tmp_path, config, weights="bf16", device="cpu")


def test_a_tensor_that_contradicts_the_configuration_is_named(tmp_path: Path) -> None:
    config = replace(stored(random_model("llama"), tmp_path), vocabulary=96)

    with pytest.raises(DamagedFileError, match=r"embed.weight has the shape \[97, 48\]"):
        open_decoder(tmp_path, config, weights="bf16", device="cpu")


def stored(model: Any, folder: Path, without: str = "") -> DecoderConfig:
    config = DecoderConfig.from_transformers(model.config.to_dict())
    tensors = canonical(config, {k: v.bfloat16() for k, v in model.state_dict().items()})
    kept = {name: tensor for name, tensor in tensors.items() if name != without}
    save_file(kept, folder / "model.safetensors")
    return config


def packed(decoder: Decoder, prompts: list[list[int]], **options: Any) -> Tensor:
    attend = PlainAttention(decoder.shape, [len(prompt) for prompt in prompts])
    return run(decoder, prompts, attend, **options)


@torch.inference_mode()
def run(
    decoder: Decoder,
    rows: list[list[int]],
    attend: PlainAttention,
    starts: list[int] | None = None,
    phase: str = "prefill",
    **options: Any,
) -> Tensor:
    begin = starts or [0] * len(rows)
    positions = [torch.arange(b, b + len(row)) for b, row in zip(begin, rows, strict=True)]
    tokens = torch.tensor([token for row in rows for token in row])
    return decoder.forward(tokens, torch.cat(positions), attend, phase=phase, **options)


def stepped(decoder: Decoder, prompts: list[list[int]], steps: int) -> Tensor:
    """Logits of the last `steps` tokens of each prompt, read one by one after the others."""
    attend = PlainAttention(decoder.shape, [len(prompt) - steps for prompt in prompts])
    run(decoder, [prompt[:-steps] for prompt in prompts], attend)
    attend.tokens_per_row = [1] * len(prompts)
    found = []
    for step in range(steps, 0, -1):
        starts = [len(prompt) - step for prompt in prompts]
        one = [[prompt[-step]] for prompt in prompts]
        found.append(run(decoder, one, attend, starts, phase="decode"))
    return torch.stack(found, 1).flatten(0, 1)
