from __future__ import annotations

import json
from typing import Any

import pytest

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.names import sources
from tests.models.decoder.test_decoder_parity import FAMILIES
from tests.models.random_models import canonical, random_model

SMALL: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}


def read(model_type: str, **settings: Any) -> DecoderConfig:
    return DecoderConfig.from_transformers({"model_type": model_type, **SMALL, **settings})


@pytest.mark.parametrize("name", FAMILIES)
def test_a_configuration_survives_json(name: str) -> None:
    kind, settings = FAMILIES[name]
    config = read(kind, **settings)

    assert DecoderConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"ropes": [{"wheels": 3}]}'])
def test_a_damaged_stored_configuration_is_refused(text: str) -> None:
    with pytest.raises(DamagedFileError, match="cannot be read"):
        DecoderConfig.from_json(text)


def test_an_unknown_family_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UnsupportedModelError, match="'bloom'") as refused:
        read("bloom")

    assert "gemma3_text" in refused.value.hint
    assert "qwen3_moe" in refused.value.hint


def test_an_unknown_rotary_embedding_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="'dynamic'"):
        read("llama", rope_scaling={"type": "dynamic", "factor": 2.0})


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="'relu2'"):
        read("llama", hidden_act="relu2")


def test_a_missing_size_is_named() -> None:
    raw = {key: value for key, value in SMALL.items() if key != "vocab_size"}

    with pytest.raises(DamagedFileError, match="'vocab_size'"):
        DecoderConfig.from_transformers({"model_type": "llama", **raw})


def test_old_and_new_style_rotary_settings_read_the_same() -> None:
    scaling = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    place = {"original_max_position_embeddings": 64}

    old = read("llama", rope_theta=5e5, rope_scaling={"type": "llama3", **scaling, **place})
    new = read(
        "llama",
        rope_parameters={"rope_type": "llama3", "rope_theta": 5e5, **scaling, **place},
    )

    assert old == new
    assert old.ropes[0].theta == 5e5
    assert old.ropes[0].original_context == 64


def test_old_style_gemma_turns_local_layers_by_their_own_base() -> None:
    scaling = {"rope_type": "linear", "factor": 8.0}

    config = read(
        "gemma3_text", num_hidden_layers=7, rope_local_base_freq=9e3, rope_scaling=scaling
    )

    assert config.layer_ropes == (1, 1, 1, 1, 1, 0, 1)
    assert [rope.theta for rope in config.ropes] == [1e6, 9e3]
    assert [rope.factor for rope in config.ropes] == [8.0, 1.0]
    assert config.windows == (4096,) * 5 + (None, 4096)


def test_the_text_part_of_a_seeing_model_is_read_with_its_defaults() -> None:
    text = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 6}

    config = DecoderConfig.from_transformers({"model_type": "gemma3", "text_config": text})

    assert (config.heads, config.kv_heads, config.head_dim) == (8, 4, 256)
    assert config.tied


@pytest.mark.parametrize(("kind", "window"), [("mistral", 4096), ("mixtral", None)])
def test_families_keep_their_own_default_window(kind: str, window: int | None) -> None:
    config = read(kind, num_local_experts=2, num_experts_per_tok=1)

    assert config.windows == (window,) * 3


def test_yarn_stretches_a_context_that_was_stated_unstretched() -> None:
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}

    assert read("qwen2", rope_scaling=scaling, max_position_embeddings=512).context == 2048
    assert read("qwen2", rope_scaling=scaling, max_position_embeddings=4096).context == 4096


def test_a_window_that_is_switched_off_is_not_used() -> None:
    assert read("qwen2", sliding_window=8, use_sliding_window=False).windows == (None,) * 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_attention_heads": 0},
        {"num_hidden_layers": -1},
        {"max_position_embeddings": -5},
        {"hidden_size": "wide"},
        {"num_key_value_heads": 3},
    ],
)
def test_sizes_that_no_model_has_are_called_damaged(wrong: dict[str, object]) -> None:
    with pytest.raises(DamagedFileError):
        read("llama", **wrong)


def test_layer_parameters_count_active_experts_only() -> None:
    moe = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 5}
    config = read("qwen3_moe", num_key_value_heads=2, head_dim=4, **moe)

    attention = 16 * 4 * (4 + 2 + 2 + 4)
    assert config.shape.layer_parameters == attention + 8 * 16 + 2 * 3 * 16 * 5
    assert config.shape.head_parameters == 32 * 16


@pytest.mark.parametrize("name", FAMILIES)
def test_names_use_every_published_tensor_exactly_once(name: str) -> None:
    kind, settings = FAMILIES[name]
    model = random_model(kind, **settings)
    config = DecoderConfig.from_transformers(model.config.to_dict())
    published = model.state_dict()

    used = [name for source in sources(config, published).values() for name in source]

    spare = {"lm_head.weight"} if config.tied else set()
    assert sorted(map(str, used)) == sorted(set(published) - spare)


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe"])
def test_experts_published_one_by_one_are_stacked_as_transformers_does(
    name: str, tmp_path: Any
) -> None:
    from safetensors.torch import load_file

    kind, settings = FAMILIES[name]
    model = random_model(kind, **settings)
    model.save_pretrained(tmp_path)
    raw = json.loads((tmp_path / "config.json").read_text())
    config = DecoderConfig.from_transformers(raw)

    published = load_file(tmp_path / "model.safetensors")
    ours, expected = canonical(config, published), canonical(config, model.state_dict())

    assert any(".experts.0." in name for name in published)
    assert all((ours[name] == expected[name]).all() for name in expected)
