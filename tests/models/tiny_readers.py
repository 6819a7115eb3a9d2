"""Folders of tiny random T5 readers, as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch

from tests.models.tiny_rewards import bytes_tokenizer


def save_reader(folder: Path, **changes: object) -> torch.nn.Module:
    """Write a random T5 model with a tokenizer of bytes; the model itself."""
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        **{"vocab_size": 260, "d_model": 24, "d_kv": 5, "d_ff": 40, "num_layers": 2,
           "num_decoder_layers": 3, "num_heads": 4, "eos_token_id": 258, "pad_token_id": 0,
           "decoder_start_token_id": 257, "relative_attention_num_buckets": 8,
           "relative_attention_max_distance": 20, **changes}
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = T5ForConditionalGeneration(config).eval()
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.35)
    model.save_pretrained(folder)
    model.set_attn_implementation("eager")  # the only one that tells its weights
    bytes_tokenizer().save(str(folder / "tokenizer.json"))
    return model


def first_attention(model: torch.nn.Module, passages: list[list[int]]) -> list[list[float]]:
    """The cross-attention of the first token by transformers, summed over layers and heads."""
    with torch.no_grad():
        states = [model.encoder(torch.tensor([one])).last_hidden_state for one in passages]
        found = model.decoder(
            torch.tensor([[model.config.decoder_start_token_id]]),
            encoder_hidden_states=torch.cat(states, 1),
            output_attentions=True,
        )
    total = sum(layer[0, :, 0].double().sum(0) for layer in found.cross_attentions)
    parts, start = [], 0
    for one in passages:
        parts.append(total[start : start + len(one)].tolist())
        start += len(one)
    return parts
