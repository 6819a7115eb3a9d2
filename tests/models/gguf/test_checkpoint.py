from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.gguf.checkpoint import GgufCheckpoint
from tests.models.tiny_gguf import (
    HEAD_DIM,
    HEADS,
    HIDDEN,
    KV_HEADS,
    TEMPLATE,
    WIDTH,
    TinyLlama,
    add,
    close,
    vocabulary,
    write_llama,
    write_vocabulary,
)


def test_tensors_come_back_as_they_were_before_the_export(tmp_path: Path) -> None:
    model = TinyLlama()
    write_llama(tmp_path / "tiny.gguf", model)

    checkpoint = GgufCheckpoint(tmp_path / "tiny.gguf")

    assert set(checkpoint.names) == set(model.tensors)
    for name, values in model.tensors.items():
        assert torch.equal(checkpoint.tensor(name), torch.from_numpy(values)), name


@pytest.mark.parametrize("name", ["q_proj", "k_proj", "v_proj"])
def test_levels_and_values_have_their_rows_in_the_same_order(tmp_path: Path, name: str) -> None:
    write_llama(tmp_path / "tiny.gguf", TinyLlama(), kind="Q4_1")
    checkpoint = GgufCheckpoint(tmp_path / "tiny.gguf")
    full = f"model.layers.1.self_attn.{name}.weight"

    levels = checkpoint.levels(full)

    assert levels is not None
    torch.testing.assert_close(levels.dense(), checkpoint.tensor(full))
    original = torch.from_numpy(TinyLlama().tensors[full])
    assert (levels.dense() - original).abs().max() < 0.05


def test_the_configuration_reads_as_transformers_would_write_it(tmp_path: Path) -> None:
    write_llama(tmp_path / "tiny.gguf", TinyLlama())

    config = GgufCheckpoint(tmp_path / "tiny.gguf").config

    assert config["model_type"] == "llama"
    assert config["rms_norm_eps"] == 1e-5
    assert config["tie_word_embeddings"] is True
    assert config["vocab_size"] == len(vocabulary())
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (HEADS, KV_HEADS)
    assert config["head_dim"] == HEAD_DIM


def test_answers_end_at_every_usual_ending_token(tmp_path: Path) -> None:
    write_llama(tmp_path / "tiny.gguf", TinyLlama())

    checkpoint = GgufCheckpoint(tmp_path / "tiny.gguf")

    assert set(checkpoint.ends.eos) == {0, 2}
    assert checkpoint.ends.bos == 1
    assert not checkpoint.ends.add_bos
    assert checkpoint.template == TEMPLATE


def test_an_unknown_architecture_names_the_known_ones(tmp_path: Path) -> None:
    write_llama(tmp_path / "tiny.gguf", TinyLlama(), architecture="mamba")

    with pytest.raises(UnsupportedModelError, match="'mamba'") as caught:
        GgufCheckpoint(tmp_path / "tiny.gguf")

    assert "qwen2" in caught.value.hint


def test_a_tensor_that_should_not_be_there_is_not_ignored(tmp_path: Path) -> None:
    extra = {"blk.0.attn_sinks.weight": np.zeros(HEADS, np.float32)}
    write_llama(tmp_path / "tiny.gguf", TinyLlama(), extra=extra)

    with pytest.raises(UnsupportedModelError, match="attn_sinks"):
        GgufCheckpoint(tmp_path / "tiny.gguf")


def test_frequency_divisors_become_a_rotary_embedding(tmp_path: Path) -> None:
    divisors = np.linspace(1, 8, HEAD_DIM // 2, dtype=np.float32)
    extra = {"rope_freqs.weight": divisors}
    write_llama(tmp_path / "tiny.gguf", TinyLlama(), extra=extra)

    scaling = GgufCheckpoint(tmp_path / "tiny.gguf").config["rope_scaling"]

    assert scaling["short_factor"] == divisors.tolist() == scaling["long_factor"]
    assert scaling["attention_factor"] == 1.0


def test_gemma_norms_lose_the_one_that_the_export_added(tmp_path: Path) -> None:
    path = tmp_path / "gemma.gguf"
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_block_count(1)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(HEADS)
    writer.add_key_length(32)
    writer.add_sliding_window(64)
    writer.add_layer_norm_rms_eps(1e-6)
    write_vocabulary(writer)
    weight = np.linspace(-1, 1, HIDDEN, dtype=np.float32)
    add(writer, "token_embd.weight", np.ones((len(vocabulary()), HIDDEN), np.float32), "F32")
    for name in ("blk.0.ffn_norm", "blk.0.post_attention_norm", "blk.0.attn_q_norm"):
        add(writer, f"{name}.weight", weight + 1, "F32")
    close(writer)

    checkpoint = GgufCheckpoint(path)

    layer = "model.layers.0."
    for name in ("pre_feedforward_layernorm", "post_attention_layernorm", "self_attn.q_norm"):
        found = checkpoint.tensor(f"{layer}{name}.weight")
        torch.testing.assert_close(found, torch.from_numpy(weight))
    assert checkpoint.config["query_pre_attn_scalar"] == 32


def test_stacked_experts_are_found_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "moe.gguf"
    writer = gguf.GGUFWriter(path, "qwen3moe")
    writer.add_block_count(1)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(WIDTH)
    writer.add_expert_feed_forward_length(32)
    writer.add_expert_count(3)
    writer.add_expert_used_count(2)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    write_vocabulary(writer)
    gates = np.random.default_rng(0).normal(0, 1, (3, 32, HIDDEN)).astype(np.float32)
    add(writer, "token_embd.weight", np.ones((len(vocabulary()), HIDDEN), np.float32), "F32")
    add(writer, "blk.0.ffn_gate_exps.weight", gates, "F32")
    close(writer)

    checkpoint = GgufCheckpoint(path)

    name = "model.layers.0.mlp.experts.2.gate_proj.weight"
    assert torch.equal(checkpoint.tensor(name), torch.from_numpy(gates[2]))
