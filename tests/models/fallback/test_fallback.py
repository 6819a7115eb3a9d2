from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.contracts.roles import Network
from forethought.engine.final_states import FinalStates
from forethought.models.fallback.fallback import behind_seam, open_fallback
from tests.models.plain_attention import PlainAttention
from tests.models.random_models import random_model, stock_logits

PROMPTS = [[5, 17, 3, 60, 8, 9, 33, 2], [44], [9, 9, 12, 90, 1, 7, 13, 22, 31, 54, 76]]
MODELS: dict[str, dict[str, Any]] = {
    "gpt_neox": {},
    "starcoder2": {"sliding_window": 4},
    "cohere": {},
    "cohere2": {
        "sliding_window": 3,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "gemma2": {"head_dim": 12, "sliding_window": 3, "attn_logit_softcapping": 5.0},
    "gpt2": {},
}


def saved(folder: Path, kind: str, **settings: Any) -> Any:
    model = random_model(kind, **settings)
    model.save_pretrained(folder)
    return model


@torch.inference_mode()
def read(network: Network, attend: PlainAttention, rows: list[list[int]], **options: Any) -> Tensor:
    starts = options.pop("starts", [0] * len(rows))
    spans = [torch.arange(s, s + len(row)) for s, row in zip(starts, rows, strict=True)]
    tokens = torch.tensor([token for row in rows for token in row])
    return network.forward(tokens, torch.cat(spans), attend, phase="prefill", **options)


@pytest.mark.parametrize("kind", MODELS)
def test_packed_prompts_give_the_models_own_logits(kind: str, tmp_path: Path) -> None:
    model = saved(tmp_path, kind, **MODELS[kind])

    network = open_fallback(tmp_path)
    attend = PlainAttention(network.shape, [len(prompt) for prompt in PROMPTS])
    logits = read(network, attend, PROMPTS)

    assert (logits - stock_logits(model, PROMPTS)).abs().max() < 1e-4


@pytest.mark.parametrize("rows", [None, torch.tensor([7, 8, 19])])
def test_the_final_states_are_what_the_head_turns_into_logits(
    rows: Tensor | None, tmp_path: Path
) -> None:
    model = saved(tmp_path, "gpt_neox")
    network, shown = open_fallback(tmp_path), FinalStates()
    attend = PlainAttention(network.shape, [len(prompt) for prompt in PROMPTS])
    logits = read(network, attend, PROMPTS, logits_at=rows, final=shown)

    assert shown.rows is not None
    assert shown.rows.shape == (len(logits), model.config.hidden_size)
    with torch.inference_mode():
        assert (model.get_output_embeddings()(shown.rows) - logits).abs().max() < 1e-4
    assert len(network.fingerprint) == 32


@pytest.mark.parametrize("kind", ["gpt_neox", "cohere2"])
def test_a_step_after_the_prompt_gives_the_models_own_logits(kind: str, tmp_path: Path) -> None:
    model = saved(tmp_path, kind, **MODELS[kind])

    network = open_fallback(tmp_path)
    attend = PlainAttention(network.shape, [7, 10])
    read(network, attend, [PROMPTS[0][:-1], PROMPTS[2][:-1]])
    attend.tokens_per_row = [1, 1]
    logits = read(network, attend, [PROMPTS[0][-1:], PROMPTS[2][-1:]], starts=[7, 10])

    expected = stock_logits(model, [PROMPTS[0], PROMPTS[2]])[[7, 18]]
    assert (logits - expected).abs().max() < 1e-4


def test_windows_scales_and_caps_are_learned_from_the_layers(tmp_path: Path) -> None:
    saved(tmp_path, "gemma2", query_pre_attn_scalar=4, **MODELS["gemma2"])

    layers = open_fallback(tmp_path).shape.layers

    assert [layer.window for layer in layers] == [3, None, 3, None]
    assert {layer.scale for layer in layers} == {0.5}
    assert {layer.softcap for layer in layers} == {5.0}
    assert {(layer.heads, layer.kv_heads, layer.head_dim) for layer in layers} == {(4, 2, 12)}


def test_only_wanted_rows_get_logits_and_early_layers_end_the_pass(tmp_path: Path) -> None:
    saved(tmp_path, "gpt_neox")
    network = open_fallback(tmp_path)
    attend = PlainAttention(network.shape, [3])

    every = read(network, attend, [[4, 5, 6]])
    again = PlainAttention(network.shape, [3])
    last = read(network, again, [[4, 5, 6]], logits_at=torch.tensor([2]))
    early = PlainAttention(network.shape, [3])
    nothing = read(network, early, [[4, 5, 6]], layers=2)

    torch.testing.assert_close(last, every[2:])
    assert nothing.shape == (0, 97)
    assert early.layers_seen == [0, 1]


@pytest.mark.parametrize(
    ("kind", "settings", "why"),
    [
        ("mamba", {}, "takes no position ids"),
        ("bloom", {}, "takes no position ids"),
        ("gpt_oss", {"layer_types": ["full_attention"] * 4}, "sinks"),
        ("llama4_text", {}, "chunked_attention"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "depends on other rows",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(scaling factor|deprecated).*")
def test_a_model_that_would_be_wrong_is_refused(
    kind: str, settings: dict[str, Any], why: str, tmp_path: Path
) -> None:
    saved(tmp_path, kind, **settings)

    with pytest.raises(UnsupportedModelError, match=why) as refused:
        open_fallback(tmp_path)

    assert "choose a model" in refused.value.hint


def test_a_model_with_a_layer_that_keeps_its_own_attention_is_refused() -> None:
    model = random_model("llama")
    attention = model.model.layers[1].self_attn
    attention.config = copy.deepcopy(attention.config)  # out of reach of set_attn_implementation

    with pytest.raises(UnsupportedModelError, match="3 of its 4 layers"):
        behind_seam(model)


def test_a_model_that_mixes_tokens_outside_attention_is_refused() -> None:
    model = random_model("llama")
    model.model.layers[1].register_forward_pre_hook(lambda _, inputs: (inputs[0].cumsum(1),))

    with pytest.raises(UnsupportedModelError, match="% behind the attention seam"):
        behind_seam(model)


def test_a_window_that_only_the_masks_know_is_refused() -> None:
    model = random_model("llama")
    model.config.sliding_window = 64

    with pytest.raises(UnsupportedModelError, match="sliding windows"):
        behind_seam(model)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "gpt_neox")
    (tmp_path / "model.safetensors").unlink()

    with pytest.raises(UnsupportedModelError, match="no safetensors"):
        open_fallback(tmp_path)


def test_a_folder_that_lacks_a_tensor_is_not_filled_up_with_random_numbers(tmp_path: Path) -> None:
    saved(tmp_path, "gpt_neox")
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    lost = next(name for name in tensors if "mlp" in name)
    save_file({n: t for n, t in tensors.items() if n != lost}, file, {"format": "pt"})

    with pytest.raises(DamagedFileError, match="lacks tensors"):
        open_fallback(tmp_path)


def test_idle_experts_are_not_counted(tmp_path: Path) -> None:
    sizes = {"num_experts": 8, "num_experts_per_tok": 2}

    saved(tmp_path / "few", "olmoe", **sizes)
    saved(tmp_path / "all", "olmoe", **{**sizes, "num_experts": 2})

    few, all_used = (open_fallback(tmp_path / name).shape for name in ("few", "all"))

    router = 6 * 48  # six experts more are six rows more of the router, and nothing else
    assert few.layer_parameters == all_used.layer_parameters + router
