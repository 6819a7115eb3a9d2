"""Weights that are not plain numbers are refused by name, and so is what nothing would read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.load import load
from forethought.models.sources.folder import FolderCheckpoint
from tests.models.quantised_folders import FORMATS, compressed_tensors, fp8, modelopt, quantise
from tests.models.test_load import by_transformers
from tests.models.tiny_gguf import HEADS, HIDDEN, LAYERS, WIDTH, vocabulary
from tests.models.tiny_tokenizers import byte_level

DOWN = "model.layers.1.mlp.down_proj"
WORDS = torch.zeros((HIDDEN, WIDTH // 8), dtype=torch.uint32)
BYTES = torch.zeros((HIDDEN, WIDTH // 2), dtype=torch.uint8)
SMALL = torch.ones(HIDDEN, WIDTH // 32)


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    path = tmp_path / "published"
    by_transformers().to(torch.bfloat16).save_pretrained(path)
    byte_level("smollm").save(str(path / "tokenizer.json"))
    return path


def with_tensors(folder: Path, change: dict[str, Tensor | None]) -> None:
    file = folder / "model.safetensors"
    tensors = {**load_file(file), **change}
    save_file({name: one.clone() for name, one in tensors.items() if one is not None}, file)


def with_config(folder: Path, **settings: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


STORED = {
    "NVFP4 weights (ModelOpt)": {
        f"{DOWN}.weight": BYTES,
        f"{DOWN}.weight_scale": torch.ones(HIDDEN, WIDTH // 16).to(torch.float8_e4m3fn),
        f"{DOWN}.weight_scale_2": torch.tensor(1.0),
    },
    "MLX": {f"{DOWN}.weight": WORDS, f"{DOWN}.scales": SMALL, f"{DOWN}.biases": SMALL},
    "GPTQ or AWQ": {
        f"{DOWN}.weight": None,
        f"{DOWN}.qweight": torch.zeros((WIDTH // 8, HIDDEN), dtype=torch.int32),
        f"{DOWN}.qzeros": torch.zeros((1, HIDDEN // 8), dtype=torch.int32),
        f"{DOWN}.scales": torch.ones(1, HIDDEN),
    },
    "MXFP4": {
        "model.layers.0.mlp.experts.down_proj_blocks": BYTES,
        "model.layers.0.mlp.experts.down_proj_scales": BYTES,
    },
    "bitsandbytes": {
        f"{DOWN}.weight": BYTES.view(-1, 1),
        f"{DOWN}.weight.absmax": torch.ones(96),
        f"{DOWN}.weight.quant_map": torch.ones(16),
    },
    "bitsandbytes weights": {
        f"{DOWN}.weight": torch.zeros((HIDDEN, WIDTH), dtype=torch.int8),
        f"{DOWN}.SCB": torch.ones(HIDDEN),
    },
    "packed weights (compressed-tensors)": {
        f"{DOWN}.weight": None,
        f"{DOWN}.weight_packed": torch.zeros((HIDDEN, WIDTH // 8), dtype=torch.int32),
        f"{DOWN}.weight_scale": SMALL,
    },
    "sparse weights": {f"{DOWN}.weight": None, f"{DOWN}.bitmask": BYTES},
    "quanto": {f"{DOWN}.weight": None, f"{DOWN}.weight._data": BYTES.view(torch.int8)},
    "smoothed inputs": {f"{DOWN}.pre_quant_scale": torch.ones(WIDTH)},
    "EETQ": {f"{DOWN}.weight_scales": torch.ones(WIDTH)},
    "LoRA adapter": {
        f"base_model.model.{DOWN}.lora_A.weight": torch.ones(4, WIDTH),
        f"base_model.model.{DOWN}.lora_B.weight": torch.ones(HIDDEN, 4),
    },
    "U8 weights": {f"{DOWN}.weight": BYTES},
    "F4 weights": {f"{DOWN}.weight": BYTES.view(torch.float4_e2m1fn_x2)},
    "F8_E4M3FNUZ weights": {
        f"{DOWN}.weight": torch.zeros(HIDDEN, WIDTH).to(torch.float8_e4m3fnuz),
        f"{DOWN}.weight_scale": torch.ones(HIDDEN, 1),
    },
    "FP8 weights, which need one": {
        f"{DOWN}.weight": torch.zeros(HIDDEN, WIDTH).to(torch.float8_e4m3fn)
    },
}


@pytest.mark.parametrize("name", STORED)
def test_formats_are_known_by_their_tensors_alone(name: str, folder: Path) -> None:
    with_tensors(folder, STORED[name])

    with pytest.raises(UnsupportedModelError) as caught:
        load(str(folder), device="cpu")

    assert name in caught.value.message
    assert caught.value.hint


STATED = {
    "4-bit GPTQ weights": {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    "4-bit AWQ weights": {"quantization_config": {"quant_method": "awq", "bits": 4}},
    "MXFP4 weights": {"quantization_config": {"quant_method": "mxfp4"}},
    "bitsandbytes weights": {
        "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}
    },
    "holds bitsandbytes": {"quantization_config": {"load_in_8bit": True}},
    "4-bit MLX weights": {"quantization": {"group_size": 64, "bits": 4}},
    "8-bit MLX weights": {"quantization_config": {"group_size": 64, "bits": 8}},
    "NVFP4 weights (ModelOpt)": {
        "quantization_config": {"quant_method": "modelopt_fp4", "quant_algo": "NVFP4"}
    },
    "W4A8_AWQ weights (ModelOpt)": {
        "quantization_config": {"quant_method": "modelopt", **modelopt("W4A8_AWQ")}
    },
    "pack-quantized weights (compressed-tensors)": {
        "quantization_config": compressed_tensors("pack-quantized", num_bits=4)
    },
    "nvfp4-pack-quantized": {"compression_config": compressed_tensors("nvfp4-pack-quantized")},
    "sparse-24-bitmask": {
        "quantization_config": {
            **compressed_tensors("float-quantized"),
            "sparsity_config": {"format": "sparse-24-bitmask"},
        }
    },
    "rotated weights": {
        "quantization_config": {
            **compressed_tensors("float-quantized"),
            "transform_config": {"config_groups": {"u": {"type": "hadamard"}}},
        }
    },
    "hqq weights": {"text_config": {"quantization_config": {"quant_method": "hqq"}}},
    "quantised weights": {"quantization_config": {"quant_method": None, "x": 1}},
}


@pytest.mark.parametrize("name", STATED)
def test_formats_are_known_by_what_the_configuration_states(name: str, folder: Path) -> None:
    with_config(folder, **STATED[name])

    with pytest.raises(UnsupportedModelError) as caught:
        load(str(folder), device="cpu")

    assert name in caught.value.message


def test_formats_are_known_by_the_file_of_modelopt(folder: Path) -> None:
    (folder / "hf_quant_config.json").write_text(json.dumps(modelopt("NVFP4")))

    with pytest.raises(UnsupportedModelError, match=r"NVFP4 weights \(ModelOpt\)"):
        load(str(folder), device="cpu")


@pytest.mark.parametrize(
    "stated",
    [
        "gptq",
        [1, 2],
        *(fp8(weight_block_size=size)["quantization_config"] for size in (7, [1], [0, 1], "8", {})),
        fp8(weight_block_size=[1, 1e400])["quantization_config"],
        compressed_tensors("float-quantized", strategy="block", block_structure=None),
        {**compressed_tensors("float-quantized"), "config_groups": [1]},
        {**compressed_tensors("float-quantized"), "config_groups": {"group_0": 3}},
        {"quant_method": "modelopt", "quantization": "FP8"},
    ],
)
def test_statements_that_make_no_sense_are_refused(stated: Any, folder: Path) -> None:
    with_config(folder, quantization_config=stated)

    with pytest.raises(DamagedFileError, match="quantisation settings"):
        load(str(folder), device="cpu")


@pytest.mark.parametrize("stated", [None, {}])
def test_an_empty_statement_states_nothing(stated: Any, folder: Path) -> None:
    with_config(folder, quantization_config=stated)

    assert load(str(folder), device="cpu").notes == ()


def test_plain_weights_beside_a_statement_are_plain(folder: Path) -> None:
    expected = FolderCheckpoint(folder).tensor(f"{DOWN}.weight")
    with_config(folder, **fp8())

    assert torch.equal(FolderCheckpoint(folder).tensor(f"{DOWN}.weight"), expected)


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.0.mlp.up_proj.bias",
        "model.layers.2.mlp.down_proj.weight",
        "model.layers.0.self_attn.q_norm.weight",
        "model.layers.0.self_attn.q_proj.weight_scale",
        "model.vision_tower.patches.weight",
        "score.weight",
        "lm_head.bias",
    ],
)
def test_tensors_that_nothing_reads_are_refused(name: str, folder: Path) -> None:
    with_tensors(folder, {name: torch.ones(HIDDEN)})

    with pytest.raises(UnsupportedModelError, match=f"does not use {name}$"):
        load(str(folder), device="cpu")


def test_many_tensors_that_nothing_reads_are_counted(folder: Path) -> None:
    with_tensors(folder, {f"stray.{n}": torch.ones(2) for n in range(5)})

    with pytest.raises(UnsupportedModelError, match="and 2 more"):
        load(str(folder), device="cpu")


def test_frequencies_and_a_repeated_head_change_nothing(folder: Path) -> None:
    embedding = FolderCheckpoint(folder).tensor("model.embed_tokens.weight")
    frequencies = torch.ones(8)
    with_tensors(
        folder,
        {
            "lm_head.weight": embedding.clone(),
            "model.layers.0.self_attn.rotary_emb.inv_freq": frequencies,
            "model.rotary_emb_local.original_inv_freq": frequencies,
        },
    )

    assert load(str(folder), device="cpu").network


def test_a_head_that_is_not_the_tied_one_is_refused(folder: Path) -> None:
    with_tensors(folder, {"lm_head.weight": torch.ones(len(vocabulary()), HIDDEN).bfloat16()})

    with pytest.raises(UnsupportedModelError, match="differs from the embeddings") as caught:
        load(str(folder), device="cpu")

    assert "tie_word_embeddings" in caught.value.hint


def test_an_adapter_in_a_file_of_its_own_is_refused(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")

    with pytest.raises(UnsupportedModelError, match="LoRA") as caught:
        load(str(folder), device="cpu")

    assert "merge" in caught.value.hint


def test_quantised_models_of_unknown_architecture_are_refused(
    tmp_path: Path, own_cache: Path
) -> None:
    other = GPTNeoXConfig(
        vocab_size=len(vocabulary()),
        hidden_size=HIDDEN,
        intermediate_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
    )
    folder = tmp_path / "other"
    GPTNeoXForCausalLM(other).save_pretrained(folder)
    byte_level("smollm").save(str(folder / "tokenizer.json"))
    (folder / "hf_quant_config.json").write_text(json.dumps(modelopt("FP8")))

    with pytest.raises(UnsupportedModelError, match="quantised"):
        load(str(folder), device="cpu")


def test_four_bit_decoding_of_a_quantised_model_starts_from_its_unscaled_weights(
    folder: Path,
) -> None:
    quantise(folder, FORMATS["fbgemm"])

    assert load(str(folder), device="cpu", weights="int4").network
