"""Uses a model as an answer does: a prompt is written and encoded, read, and gone on from."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from forethought.contracts.records import ModelShape
from forethought.models.chat.prompt import chat_prompt
from forethought.models.fallback.self_check import exact_attention
from forethought.models.load import load
from forethought.models.model import Model

TEXTS = ("hello 12 worlds", "<|im_start|>a  b\n\n\té 世界 \0", "")


def used(name: str, folder: Path, random: Random) -> None:
    """Load the model `name` into a cache in `folder`; read a prompt and a token behind it."""
    os.environ["FORETHOUGHT_CACHE"] = str(folder / "cache")
    weights = random.choice(("auto", "bf16", "bf16"))
    model = load(name, device="cpu", weights=weights)
    answered(model)


def answered(model: Model) -> None:
    for text in TEXTS:
        prompt = chat_prompt(model.tokenizer, model.template, text, "A document.")
        _read(model, list(prompt.tokens)[:40] or [0])
        model.tokenizer.decode(prompt.tokens)
    _read(model.for_length(model.shape.context + 1), [0, 1])


@torch.inference_mode()
def _read(model: Model, tokens: list[int]) -> None:
    positions = torch.arange(len(tokens))
    attend = _Attend(model.shape)
    for phase in ("prefill", "decode"):
        logits = model.network.forward(torch.tensor(tokens), positions, attend, phase=phase)
        assert logits.shape == (len(tokens), model.shape.vocabulary)


class _Attend:
    def __init__(self, shape: ModelShape) -> None:
        self.shape = shape

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return exact_attention(self.shape.layers[layer], q, k, v).flatten(1).to(q.dtype)
