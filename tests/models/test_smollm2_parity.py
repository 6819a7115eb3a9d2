"""The default model against transformers: the same greedy answers, and bf16 no further off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.scheduler import decode
from forethought.engine.sequence import Sequence, SequenceStart
from forethought.models.chat.prompt import chat_prompt
from forethought.models.decoder.decoder import Decoder
from forethought.models.decoder.linear import build_linears
from forethought.models.load import load
from forethought.models.model import Model
from forethought.models.sources.model_cache import WEIGHTS

NEW = 64
SUBJECTS = (
    "rivers", "glaciers", "chess", "bread", "volcanoes", "libraries", "bees", "sonnets",
    "lighthouses", "railways", "tides", "maps", "violins", "deserts", "comets", "tea",
    "bridges", "moss", "prime numbers", "sailing",
)  # fmt: skip
NEAR = 0.5  # four steps of bf16 at the size of these logits
"""Logits between 16 and 32 are 0.125 apart in bf16: two steps are a tie."""


@pytest.mark.slow
def test_greedy_answers_in_float32_are_those_of_transformers(smollm2_folder: Path) -> None:
    ours, theirs = pair(smollm2_folder, torch.float32)

    for prompt in prompts(ours):
        answer = greedy(ours, prompt)
        assert logits_of(theirs, prompt, answer).argmax(-1).tolist() == answer


@pytest.mark.slow
def test_bf16_answers_differ_at_ties_alone_and_err_no_more_than_transformers(
    smollm2_folder: Path,
) -> None:
    ours, theirs = pair(smollm2_folder, torch.bfloat16)
    _, exact = pair(smollm2_folder, torch.float32)
    errors = {"ours": 0.0, "theirs": 0.0}

    for prompt in prompts(ours):
        answer = greedy(ours, prompt)
        logits = logits_of(theirs, prompt, answer)
        gap = logits.amax(-1) - logits.gather(-1, torch.tensor(answer)[:, None])[:, 0]
        assert float(gap.max()) <= NEAR
        truth = logits_of(exact, prompt, answer)
        errors["theirs"] += float((logits - truth).square().sum())
        errors["ours"] += float((replayed(ours, prompt, answer) - truth).square().sum())

    assert errors["ours"] < 1.1 * errors["theirs"]


def pair(folder: Path, dtype: torch.dtype) -> tuple[Model, Any]:
    """The default model here and in transformers, both in this dtype."""
    model = load("smollm2", weights="bf16", device="cpu")
    config: Any = model.network.config  # type: ignore[attr-defined]
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(folder / WEIGHTS).items()}
    network = Decoder(config, tensors, build_linears(tensors, {}, "bf16"))
    return replace(model, network=network), reference(config, tensors).to(dtype)


def prompts(model: Model) -> list[list[int]]:
    asked = [f"Tell me about {subject}." for subject in SUBJECTS]
    return [list(chat_prompt(model.tokenizer, model.template, text).tokens) for text in asked]


def logits_of(theirs: Any, prompt: list[int], answer: list[int]) -> Tensor:
    """float32 [answer, V]: transformers' logits for each token of an answer, read at once."""
    with torch.inference_mode():
        found: Tensor = theirs(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return found.float()


def replayed(model: Model, prompt: list[int], answer: list[int]) -> Tensor:
    """float32 [answer, V]: our logits for each token of an answer, written one by one."""
    batch, row = Batch(model.network, Meter(lambda: 0.0)), SequenceCache(len(model.shape.layers))
    with torch.inference_mode():
        found = [batch.prefill(row, prompt)]
        found += [batch.step([row], [token])[0] for token in answer[:-1]]
    return torch.stack(found).float()


def greedy(model: Model, prompt: list[int]) -> list[int]:
    batch, row = Batch(model.network, Meter(lambda: 0.0)), SequenceCache(len(model.shape.layers))
    with torch.inference_mode():
        logits = batch.prefill(row, prompt)
        begun = SequenceStart(row, logits)
        sequence = Sequence(
            model.network, batch.meter, lambda: begun, max_tokens=NEW, ends=model.tokenizer.ends
        )
        decode(sequence)
    return sequence.tokens


def reference(config: Any, tensors: dict[str, Tensor]) -> Any:
    """The same weights in transformers' own class."""
    from transformers import LlamaConfig, LlamaForCausalLM

    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.hidden,
            intermediate_size=config.intermediate,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads,
            head_dim=config.head_dim,
            rms_norm_eps=config.epsilon,
            rope_parameters={"rope_type": "default", "rope_theta": config.ropes[0].theta},
            max_position_embeddings=config.context,
            tie_word_embeddings=config.tied,
            attn_implementation="eager",
        )
    )
    missing, unknown = theirs.load_state_dict(published(config, tensors), strict=False)
    assert not unknown
    assert all("lm_head" in name or "inv_freq" in name for name in missing)
    return theirs.eval()


def published(config: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under their published names."""
    heads = [config.heads * config.head_dim, *[config.kv_heads * config.head_dim] * 2]
    found = {"model.embed_tokens.weight": tensors["embed.weight"]}
    found["model.norm.weight"] = tensors["norm.weight"]
    for i in range(config.layers):
        own, their = f"layers.{i}.", f"model.layers.{i}."
        parts = torch.split(tensors[own + "qkv.weight"], heads)
        for name, part in zip("qkv", parts, strict=True):
            found[f"{their}self_attn.{name}_proj.weight"] = part
        gate, up = tensors[own + "gate_up.weight"].chunk(2)
        found[f"{their}mlp.gate_proj.weight"], found[f"{their}mlp.up_proj.weight"] = gate, up
        found[f"{their}mlp.down_proj.weight"] = tensors[own + "down.weight"]
        found[f"{their}self_attn.o_proj.weight"] = tensors[own + "out.weight"]
        found[f"{their}input_layernorm.weight"] = tensors[own + "attention_norm.weight"]
        found[f"{their}post_attention_layernorm.weight"] = tensors[own + "mlp_norm.weight"]
    return found
