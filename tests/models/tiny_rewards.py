"""Folders of tiny random models that judge, as transformers saves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Inner
from torch import nn

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content | trim }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
CONTROL = ["<s>", "<|start|>", "<|end|>", "<extra_0>"]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "bos_token_id": 256,
    "eos_token_id": 258,
    "pad_token_id": 258,
    "vocab_size": 256 + len(CONTROL),
}


def bytes_tokenizer() -> Inner:
    """Bytes and four control tokens; nothing is added around a text."""
    inner = Inner(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator([], trainer)
    inner.add_special_tokens([AddedToken(token) for token in CONTROL])
    return inner


def random_judge(kind: str, head: str, seed: int = 0, **settings: Any) -> nn.Module:
    """A transformers model of that type (qwen2) and class (ForTokenClassification), float32."""
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto

    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **{**SIZES, **settings})
    auto = getattr(modeling_auto, f"AutoModel{head}")
    model = auto.from_config(config, attn_implementation="eager").float().eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return model


class TwoMaps(nn.Module):
    """A decoder with two linear maps and a ReLU between them, as Qwen's process reward model."""

    def __init__(self, kind: str = "qwen2", **settings: Any) -> None:
        super().__init__()
        self.inside = random_judge(kind, "", **settings)
        size = self.inside.config.hidden_size
        self.score = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 2))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.score(self.inside(tokens).last_hidden_state)


def save_judge(folder: Path, model: nn.Module, template: str = TEMPLATE) -> Path:
    """Write the model, its tokenizer and its chat template."""
    if isinstance(model, TwoMaps):
        model.inside.save_pretrained(folder)
        inside = {f"model.{k}": v for k, v in model.inside.state_dict().items()}
        score = {f"score.{name}": tensor for name, tensor in model.score.state_dict().items()}
        save_file({**inside, **score}, folder / "model.safetensors", {"format": "pt"})
    else:
        model.save_pretrained(folder)
    bytes_tokenizer().save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>",
                "eos_token": "<|end|>", "chat_template": template}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def change_tensors(folder: Path, **changes: torch.Tensor | None) -> None:
    """Write the folder's tensors anew, some changed or (None) left out; _ stands for a dot."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    for name, tensor in changes.items():
        tensors.pop(name.replace("__", "."), None)
        if tensor is not None:
            tensors[name.replace("__", ".")] = tensor
    save_file(tensors, file, {"format": "pt"})
