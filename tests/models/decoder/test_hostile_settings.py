"""Settings of model folders that no model has: refused as such, before anything is made."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from forethought.contracts.errors import DamagedFileError, ModelError, UnsupportedModelError
from forethought.models.checkpoint.json_file import read_json
from forethought.models.decoder.config import DecoderConfig
from forethought.models.load import load
from forethought.models.sources.folder import FolderCheckpoint
from tests.cli.tiny_folder import CONFIG, write_tiny_model

INDEX = "model.safetensors.index.json"
FEW_BYTES = 1 << 22


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    return write_tiny_model(tmp_path / "model")


def change(file: Path, **values: Any) -> None:
    stated = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps({**stated, **values}))


YARN = {"rope_type": "yarn", "factor": 4.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [1.0] * 4}
WRONG: list[dict[str, Any]] = [
    {"num_hidden_layers": 4_000_000_000},
    {"num_hidden_layers": 2_000_000},
    {"num_hidden_layers": [2]},
    {"num_hidden_layers": 2.5},
    {"num_attention_heads": 0},
    {"num_attention_heads": [4, 4]},
    {"num_attention_heads": 3},
    {"hidden_size": "wide"},
    {"hidden_size": {"a": 1}},
    {"vocab_size": float("inf")},
    {"rms_norm_eps": float("nan")},
    {"rms_norm_eps": "1e-5"},
    {"head_dim": 1 << 31},
    {"head_dim": 7},
    {"max_position_embeddings": "4096"},
    {"max_position_embeddings": None},
    {"hidden_act": ["silu"]},
    {"tie_word_embeddings": "yes"},
    {"rope_theta": float("inf")},
    {"rope_theta": -1.0},
    {"rope_theta": 1.0},
    {"rope_theta": [1e4]},
    {"rope_scaling": [1]},
    {"rope_scaling": "linear"},
    {"rope_scaling": {"rope_type": ["linear"]}},
    {"rope_scaling": {"rope_type": "linear"}},
    {"rope_scaling": {"rope_type": "linear", "factor": 0}},
    {"rope_scaling": {**YARN, "beta_fast": "x"}},
    {"rope_scaling": {**YARN, "original_max_position_embeddings": [1]}},
    {"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}},
    {"rope_scaling": {**LONG, "short_factor": [1.0] * 3}},
    {"rope_scaling": {**LONG, "long_factor": [0.0] * 4}},
    {"rope_scaling": {**LONG, "long_factor": 1.0}},
    {"rope_parameters": {"partial_rotary_factor": 1e30}},
    {"partial_rotary_factor": 0.1},
    {"model_type": "mistral", "sliding_window": "wide"},
    {"model_type": "qwen2", "layer_types": ["full_attention"]},
    {"model_type": "qwen2", "layer_types": "full_attention"},
    {"model_type": "qwen2", "layer_types": [1, 2]},
    {"model_type": "smollm3", "no_rope_layers": [1]},
    {"model_type": "granite", "logits_scaling": 0},
    {"model_type": "gemma3", "text_config": [1]},
    {"model_type": "gemma3_text", "final_logit_softcapping": -1.0},
    {"model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 3},
    {"model_type": "mixtral", "num_local_experts": 1 << 30, "num_experts_per_tok": 1},
    {"model_type": ["llama"]},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: json.dumps(wrong)[:60])
def test_settings_that_cannot_be_are_refused_before_anything_is_made(
    folder: Path, wrong: dict[str, Any]
) -> None:
    change(folder / "config.json", **wrong)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            load(str(folder), device="cpu")
        assert tracemalloc.get_traced_memory()[1] < FEW_BYTES
    finally:
        tracemalloc.stop()
    assert caught.value.hint


@pytest.mark.parametrize(
    "larger",
    [
        {"num_hidden_layers": 4000},
        {"vocab_size": 1 << 23},
        {"intermediate_size": 1 << 21},
        {"hidden_size": 1 << 19},
        {"model_type": "mixtral", "num_local_experts": 16_000, "num_experts_per_tok": 1},
    ],
    ids=str,
)
def test_a_model_larger_than_its_file_is_refused_by_the_headers_alone(
    folder: Path, larger: dict[str, Any]
) -> None:
    change(folder / "config.json", **larger)
    weights = folder / "model.safetensors"
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError):
            load(str(folder), device="cpu")
        assert tracemalloc.get_traced_memory()[1] < FEW_BYTES
    finally:
        tracemalloc.stop()
    assert weights.stat().st_size < 1 << 20


@pytest.mark.parametrize(
    "large",
    [
        {"num_hidden_layers": 200, "max_position_embeddings": 10_000_000},
        {"vocab_size": 262_208, "hidden_size": 18_432, "intermediate_size": 73_728},
        {"num_attention_heads": 128, "num_key_value_heads": 128, "head_dim": 576},
        {"num_attention_heads": 1, "num_key_value_heads": 1, "rope_theta": 1e11},
        {"model_type": "mixtral", "num_local_experts": 512, "num_experts_per_tok": 22},
    ],
    ids=str,
)
def test_the_sizes_of_the_largest_models_are_within_the_limits(large: dict[str, Any]) -> None:
    assert DecoderConfig.from_transformers({**CONFIG, **large})


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", "[" * 100_000),
        ("config.json", '{"model_type": ' + '{"a":' * 5000 + "1" + "}" * 5001),
        ("config.json", "\udcff"),
        ("config.json", '{"model_type": "\\ud800"}'),
        ("config.json", '{"hidden_size": ' + "9" * 5000 + "}"),
        ("generation_config.json", '{"eos_token_id": [[2]]}'),
        ("generation_config.json", '{"eos_token_id": "two"}'),
        ("generation_config.json", '{"eos_token_id": 4294967296}'),
        ("generation_config.json", "[]"),
        ("tokenizer_config.json", '{"eos_token": {"text": "x"}, "bos_token": 5}'),
        ("tokenizer_config.json", '{"eos_token": "\\ud800"}'),
        ("tokenizer_config.json", '{"chat_template": ["x"]}'),
        ("tokenizer_config.json", '{"chat_template": {"default": "x"}}'),
        ("tokenizer_config.json", '{"chat_template": "\\ud800"}'),
        ("tokenizer_config.json", '{"add_bos_token": [1]}'),
        (INDEX, '{"weight_map": ["model.safetensors"]}'),
        (INDEX, '{"weight_map": {"a": 5}}'),
        (INDEX, '{"weight_map": {}}'),
        (INDEX, "{}"),
    ],
)
def test_files_of_settings_with_other_content_are_named(folder: Path, file: str, text: str) -> None:
    (folder / file).write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(ModelError) as caught:
        load(str(folder), device="cpu")

    assert file in caught.value.message
    assert caught.value.hint


def test_a_byte_order_mark_is_no_part_of_the_settings(folder: Path) -> None:
    config = folder / "config.json"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())

    assert load(str(folder), device="cpu").shape.vocabulary == CONFIG["vocab_size"]


def test_settings_of_no_end_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(1 << 34)
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError, match="more than"):
            read_json(tmp_path / "config.json")
        assert tracemalloc.get_traced_memory()[1] < FEW_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../other/x.safetensors", "/x.safetensors", "..\\x.safetensors"])
def test_an_index_that_leaves_its_folder_is_not_followed(folder: Path, name: str) -> None:
    outside = folder.parent / "other"
    outside.mkdir()
    (folder / "model.safetensors").rename(outside / "x.safetensors")
    tensors = load_file(outside / "x.safetensors")
    change(folder / INDEX, weight_map=dict.fromkeys(tensors, name))

    with pytest.raises(DamagedFileError, match="outside the folder"):
        load(str(folder), device="cpu")


def test_links_inside_a_folder_are_followed_as_hubs_keep_their_files(folder: Path) -> None:
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for file in list(folder.iterdir()):
        file.rename(blobs / file.name)
        file.symlink_to(Path("..") / "blobs" / file.name)
    tensors = load_file(folder / "model.safetensors")
    change(folder / INDEX, weight_map=dict.fromkeys(tensors, "model.safetensors"))

    assert load(str(folder), device="cpu").shape.vocabulary == CONFIG["vocab_size"]


def test_a_name_that_two_files_hold_is_refused_unless_an_index_chooses(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "a.safetensors", {"format": "pt"})
    wrong = {"model.norm.weight": torch.full((32,), 7.0)}
    save_file(wrong, folder / "b.safetensors", {"format": "pt"})

    with pytest.raises(DamagedFileError, match=r"both hold 'model\.norm\.weight'"):
        FolderCheckpoint(folder)
    places = dict.fromkeys(tensors, "a.safetensors")
    change(folder / INDEX, weight_map={**places, "other": "b.safetensors"})

    found = FolderCheckpoint(folder).tensor("model.norm.weight")
    assert torch.equal(found, tensors["model.norm.weight"])


@pytest.mark.parametrize(
    "edit",
    [
        lambda header: header["model.norm.weight"].update(data_offsets=[0, 4]),
        lambda header: header["model.norm.weight"].update(data_offsets=[128, 0]),
        lambda header: header["model.norm.weight"].update(data_offsets=[0, 1 << 60]),
        lambda header: header["model.norm.weight"].update(shape=[1 << 62, 4]),
        lambda header: header["model.norm.weight"].update(shape=[0]),
        lambda header: header["model.norm.weight"].update(dtype="X9"),
        lambda header: header.pop("model.norm.weight"),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(folder: Path, edit: Any) -> None:
    file = folder / "model.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    edit(header)
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])

    with pytest.raises(ModelError):
        load(str(folder), device="cpu")


def test_layers_that_are_not_stated_one_by_one_are_an_error_while_loading(folder: Path) -> None:
    stored = json.loads(DecoderConfig.from_transformers(CONFIG).to_json())
    for key, wrong in (("windows", [None]), ("layer_ropes", [0, 5]), ("ropes", [[]])):
        with pytest.raises(DamagedFileError, match="cannot be read"):
            DecoderConfig.from_json(json.dumps({**stored, key: wrong}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_hidden_layers": 2_000_000},
        {"num_hidden_layers": [1]},
        {"hidden_size": 1 << 40},
        {"hidden_size": "x"},
        {"num_attention_heads": 0},
        {"vocab_size": 1 << 29},
        {"max_position_embeddings": []},
        {"rope_parameters": {"rope_type": 5}},
    ],
    ids=str,
)
def test_models_of_transformers_are_refused_as_its_files_are_wrong(
    tmp_path: Path, own_cache: Path, wrong: dict[str, Any]
) -> None:
    from tests.models.random_models import random_model

    folder = tmp_path / "neox"
    random_model("gpt_neox", vocab_size=256).save_pretrained(folder)
    write_tiny_model(tmp_path / "tiny")
    (tmp_path / "tiny/tokenizer.json").rename(folder / "tokenizer.json")
    change(folder / "config.json", **wrong)

    with pytest.raises((DamagedFileError, UnsupportedModelError)):
        load(str(folder), device="cpu")
