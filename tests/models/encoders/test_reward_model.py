"""Heads that judge, against transformers in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forethought.contracts.errors import (
    DamagedFileError,
    PromptTooLongError,
    UnknownNameError,
    UnsupportedModelError,
)
from forethought.models.chat.transcript import ScoredTokens
from forethought.models.encoders import reward_model
from forethought.models.encoders.reward_model import RewardHead, open_reward_head
from forethought.models.sources.folder import FolderCheckpoint
from tests.models.plain_attention import PlainAttention
from tests.models.random_models import decoder_like
from tests.models.tiny_rewards import TwoMaps, change_tensors, random_judge, save_judge

READINGS = [
    ScoredTokens((5, 17, 3, 60, 8, 9, 33, 2, 71), (2, 5, 8)),
    ScoredTokens((44,), (0,)),
    ScoredTokens((9, 9, 12, 90, 1, 7, 13, 22, 31, 54, 76, 11), (0, 11)),
    ScoredTokens((9, 9, 12, 200), ()),
]
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2": ("qwen2", {}),
    "llama": ("llama", {}),
    "tied": ("llama", {"tie_word_embeddings": True}),
    "windowed": ("mistral", {"sliding_window": 5}),
    "capped": ("gemma3_text", {"head_dim": 8, "sliding_window": 4, "final_logit_softcapping": 1.0}),
    "scaled": ("granite", {"logits_scaling": 7.0, "embedding_multiplier": 3.0}),
}


def opened(folder: Path, *words: str) -> RewardHead:
    return RewardHead(FolderCheckpoint(folder), "cpu", words)


@torch.inference_mode()
def labels(model: Any, reading: ScoredTokens) -> torch.Tensor:
    """What transformers gives at the places."""
    found = model(torch.tensor([reading.tokens]))
    logits = found if isinstance(found, torch.Tensor) else found.logits
    return logits[0, list(reading.places)]


def alike(found: list[np.ndarray], expected: list[torch.Tensor]) -> None:
    assert [one.shape for one in found] == [tuple(one.shape) for one in expected]
    spread = torch.cat(expected)
    assert spread.std() > 0.02, "otherwise nothing is compared"
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=2e-5)


@pytest.mark.parametrize("name", ["qwen2", "llama", "tied", "windowed"])
def test_two_labels_are_those_of_a_token_classifier(name: str, tmp_path: Path) -> None:
    kind, settings = FAMILIES[name]
    model = random_judge(kind, "ForTokenClassification", num_labels=2, **settings)
    found = opened(save_judge(tmp_path, model)).chances(READINGS)
    alike(found, [labels(model, one).softmax(-1)[:, 1] for one in READINGS])


@pytest.mark.parametrize("name", [n for n in FAMILIES if n != "scaled"])
def test_one_label_is_the_reward_squashed(name: str, tmp_path: Path) -> None:
    kind, settings = FAMILIES[name]
    model = random_judge(kind, "ForSequenceClassification", num_labels=1, **settings)
    last = [ScoredTokens(one.tokens, (len(one.tokens) - 1,)) for one in READINGS]

    found = opened(save_judge(tmp_path, model)).chances(last)

    with torch.inference_mode():  # one row at a time: it looks for the last token itself
        rewards = [model(torch.tensor([one.tokens])).logits[0] for one in last]
    alike(found, [torch.sigmoid(reward) for reward in rewards])


@pytest.mark.parametrize("name", ["qwen2", "scaled"])
def test_two_maps_with_a_relu_between_are_read_as_one_head(name: str, tmp_path: Path) -> None:
    kind, settings = FAMILIES[name]
    model = TwoMaps(kind, **settings).eval()
    found = opened(save_judge(tmp_path, model)).chances(READINGS)
    alike(found, [labels(model, one).softmax(-1)[:, 1] for one in READINGS])


@pytest.mark.parametrize("name", FAMILIES)
def test_two_words_of_the_output_head_are_compared_with_each_other(
    name: str, tmp_path: Path
) -> None:
    kind, settings = FAMILIES[name]
    model = random_judge(kind, "ForCausalLM", **settings)
    head = opened(save_judge(tmp_path, model), "-", "+")

    bad, good = head.words
    assert (head.tokenizer.decode([bad]), head.tokenizer.decode([good])) == ("-", "+")
    pair = [labels(model, one)[:, [bad, good]].softmax(-1)[:, 1] for one in READINGS]
    alike(head.chances(READINGS), pair)


@torch.inference_mode()
def test_attention_that_is_capped_is_read_so(tmp_path: Path) -> None:
    # Transformers leaves this setting out of its own attention.
    settings = {"head_dim": 8, "attn_logit_softcapping": 1.0, "query_pre_attn_scalar": 1}
    model = random_judge("gemma3_text", "ForCausalLM", **settings)
    head, decoder = opened(save_judge(tmp_path, model), "-", "+"), decoder_like(model)

    (found,) = head.chances(READINGS[:1])

    tokens = torch.tensor(READINGS[0].tokens)
    attend = PlainAttention(decoder.shape, [len(tokens)])
    logits = decoder.forward(tokens, torch.arange(len(tokens)), attend, phase="prefill")
    pair = logits[list(READINGS[0].places)][:, list(head.words)]
    alike([found], [pair.softmax(-1)[:, 1]])


def test_texts_are_read_in_batches_without_changing_what_they_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_judge("qwen2", "ForTokenClassification", num_labels=2)
    head = opened(save_judge(tmp_path, model))
    together = head.chances(READINGS)
    for most in (1, 12, 14):
        monkeypatch.setattr(reward_model, "_BATCH_TOKENS", most)
        for mine, theirs in zip(head.chances(READINGS), together, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=2e-5)
    assert head.chances([]) == []


def test_weights_are_kept_as_stored_but_for_half_precision(tmp_path: Path) -> None:
    model = random_judge("llama", "ForTokenClassification", num_labels=2, initializer_range=0.1)
    found = {}
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        # All of what bf16 can hold, so that the stored numbers are the same.
        folder = save_judge(tmp_path / str(dtype), model.to(torch.bfloat16).to(dtype))
        found[dtype] = np.concatenate(opened(folder).chances(READINGS))

    assert (found[torch.float16] == found[torch.bfloat16]).all()
    assert (found[torch.float32] != found[torch.bfloat16]).any()
    np.testing.assert_allclose(found[torch.float32], found[torch.bfloat16], atol=0.03)


def test_the_sizes_are_the_models_with_the_head_that_judges(tmp_path: Path) -> None:
    shape = opened(save_judge(tmp_path, TwoMaps())).shape
    assert shape.head_parameters == 32 * 32 + 32 * 2
    assert (shape.hidden, len(shape.layers), shape.context) == (32, 3, 512)


def test_a_text_beyond_the_context_is_refused(tmp_path: Path) -> None:
    model = random_judge("llama", "ForTokenClassification", num_labels=2)
    head = opened(save_judge(tmp_path, model))
    assert len(head.chances([ScoredTokens((7,) * 512, (511,))])[0]) == 1
    with pytest.raises(PromptTooLongError, match=r"has 513 tokens, .* context of 512"):
        head.chances([ScoredTokens((7,) * 513, (512,))])


def test_a_text_of_no_tokens_is_refused(tmp_path: Path) -> None:
    save_judge(tmp_path, random_judge("qwen2", "ForTokenClassification"))

    with pytest.raises(UnsupportedModelError, match="turned a text into no tokens"):
        opened(tmp_path).chances([READINGS[0], ScoredTokens((), ())])


@pytest.mark.parametrize("bias", [torch.zeros(3), torch.zeros(2, 1), torch.zeros(())])
def test_a_head_whose_tensors_do_not_fit_together_is_damaged(
    tmp_path: Path, bias: torch.Tensor
) -> None:
    save_judge(tmp_path, random_judge("qwen2", "ForTokenClassification"))
    change_tensors(tmp_path, score__bias=bias)

    with pytest.raises(DamagedFileError, match="do not fit"):
        opened(tmp_path)


def test_a_model_without_a_head_that_judges_is_refused(tmp_path: Path) -> None:
    folder = save_judge(tmp_path, random_judge("llama", "ForCausalLM"))
    with pytest.raises(UnsupportedModelError, match="holds no supported reward head"):
        opened(folder)


def test_heads_of_three_labels_are_refused(tmp_path: Path) -> None:
    model = random_judge("llama", "ForTokenClassification", num_labels=3)
    with pytest.raises(UnsupportedModelError, match="has 3 labels"):
        opened(save_judge(tmp_path, model))


def test_a_head_of_another_width_and_missing_tensors_are_called_damage(tmp_path: Path) -> None:
    folder = save_judge(tmp_path, random_judge("llama", "ForTokenClassification", num_labels=2))
    change_tensors(folder, score__weight=torch.zeros(2, 31))
    with pytest.raises(DamagedFileError, match="takes 31 values of 32"):
        opened(folder)
    change_tensors(folder, score__weight=torch.zeros(2, 32), model__norm__weight=None)
    with pytest.raises(DamagedFileError, match=r"lacks the tensor model.norm.weight"):
        opened(folder)
    change_tensors(folder, model__norm__weight=torch.zeros(31))
    with pytest.raises(DamagedFileError, match=r"norm.weight has the shape \[31\]"):
        opened(folder)


def test_values_that_are_no_numbers_are_never_a_score(tmp_path: Path) -> None:
    folder = save_judge(tmp_path, random_judge("llama", "ForTokenClassification", num_labels=2))
    change_tensors(folder, score__weight=torch.full((2, 32), torch.nan))
    with pytest.raises(DamagedFileError, match="infinite or NaN"):
        opened(folder).chances(READINGS)


def test_architectures_that_the_decoder_does_not_know_are_refused(tmp_path: Path) -> None:
    folder = save_judge(tmp_path, random_judge("llama", "ForTokenClassification", num_labels=2))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    with pytest.raises(UnsupportedModelError, match="gpt2"):
        opened(folder)


def test_a_folder_is_opened_once_and_other_names_are_refused(tmp_path: Path) -> None:
    save_judge(tmp_path, random_judge("llama", "ForTokenClassification", num_labels=2))
    assert open_reward_head(str(tmp_path)) is open_reward_head(str(tmp_path))
    with pytest.raises(UnknownNameError, match="not a reward model"):
        open_reward_head(str(tmp_path / "elsewhere" / "still"))
