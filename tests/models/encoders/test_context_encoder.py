"""Context encoders and their adapters against transformers, on random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from forethought.contracts.errors import DamagedFileError, DownloadError, UnsupportedModelError
from forethought.models.encoders.context_encoder import ContextEncoder, open_context_encoder
from forethought.models.sources import hub
from forethought.models.sources.adapter import AdaptedCheckpoint, model_folder, open_checkpoint
from tests.models.tiny_rewards import bytes_tokenizer, random_judge, save_judge


def bytes_of(text: str) -> list[int]:
    """The tokens of a text under the tiny tokenizer: one a byte."""
    return bytes_tokenizer().encode(text, add_special_tokens=False).ids


TEXTS = [bytes_of(text) for text in ("The cat sat.", " A dog ran far.", "Why?")]


def embedded(model: torch.nn.Module, texts: list[list[int]]) -> np.ndarray:
    """Unit means of the last states; every token sees every other."""
    tokens = [token for text in texts for token in text]
    mask = torch.zeros(1, 1, len(tokens), len(tokens))
    with torch.no_grad():
        states = model.get_decoder()(torch.tensor([tokens]), attention_mask=mask)
    found, start = [], 0
    for text in texts:
        mean = states.last_hidden_state[0, start : start + len(text)].double().mean(0)
        found.append((mean / mean.norm()).numpy())
        start += len(text)
    return np.stack(found)


def save_adapter(
    folder: Path, base: Path, tensors: dict[str, torch.Tensor], **more: object
) -> Path:
    folder.mkdir()
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 3, "bias": "none",
                "base_model_name_or_path": str(base), **more}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def low_rank(module: str, out: int, size: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        f"base_model.model.{module}.lora_A.weight": torch.randn(2, size, generator=generator),
        f"base_model.model.{module}.lora_B.weight": torch.randn(out, 2, generator=generator),
    }


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_sentences_are_embedded_in_the_context_of_all(tmp_path: Path, kind: str) -> None:
    model = random_judge(kind, "ForCausalLM")

    encoder = ContextEncoder(open_checkpoint(save_judge(tmp_path, model)), "cpu")

    found = encoder.embed(TEXTS)
    np.testing.assert_allclose(found, embedded(model, TEXTS), atol=2e-5)
    assert len(encoder.tokens("The cat <s>")) == 11
    alone = encoder.embed(TEXTS[:1])
    assert abs(alone - found[:1]).max() > 1e-3


@pytest.mark.parametrize("prefix", ["", "model."])
def test_an_adapter_changes_the_weights_of_its_base(tmp_path: Path, prefix: str) -> None:
    model = random_judge("llama", "ForCausalLM")
    base = save_judge(tmp_path / "base", model)
    tensors = low_rank(f"{prefix}layers.1.self_attn.k_proj", 16, 32)
    folder = save_adapter(tmp_path / "adapter", base, tensors)

    found = open_context_encoder(str(folder)).embed(TEXTS)

    low, high = tensors.values()
    model.model.layers[1].self_attn.k_proj.weight.data += 3 / 2 * high @ low
    np.testing.assert_allclose(found, embedded(model, TEXTS), atol=2e-5)


@pytest.mark.parametrize(
    ("tensors", "more", "error"),
    [
        (low_rank("layers.9.self_attn.k_proj", 16, 32), {}, DamagedFileError),
        (low_rank("layers.0.self_attn.k_proj", 16, 31), {}, DamagedFileError),
        ({"base_model.model.extra": torch.zeros(2)}, {}, UnsupportedModelError),
        ({}, {"use_dora": True}, UnsupportedModelError),
        ({}, {"peft_type": "IA3"}, UnsupportedModelError),
        ({}, {"r": "two"}, DamagedFileError),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(
    tmp_path: Path,
    tensors: dict[str, torch.Tensor],
    more: dict[str, object],
    error: type[Exception],
) -> None:
    base = save_judge(tmp_path / "base", random_judge("llama", "ForCausalLM"))
    folder = save_adapter(tmp_path / "adapter", base, tensors, **more)

    with pytest.raises(error):
        AdaptedCheckpoint(folder)


def test_a_name_that_is_no_model_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(UnsupportedModelError, match="neither a folder"):
        model_folder("no-such-folder")
    assert hub.is_hub_id("deadcode99/cpc-1.0-llama-1b-tokenizer")
    with pytest.raises(DownloadError, match="no-one/no-model"):
        model_folder("no-one/no-model")


def test_layers_with_a_window_are_refused(tmp_path: Path) -> None:
    model = random_judge("mistral", "ForCausalLM", sliding_window=16)

    with pytest.raises(UnsupportedModelError, match="window"):
        ContextEncoder(open_checkpoint(save_judge(tmp_path, model)), "cpu")
