"""Folders of tiny random encoders, as transformers saves them, with a word-piece tokenizer."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ["cat", "dog", "bird", "ran", "sat", "far", "the", "a", "which", "what", "not", "sing"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", ",", "?", "!", "##s", "##ing", *WORDS, "7", "8"]
SIZES = {
    "vocab_size": len(PIECES),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "hidden_dropout_prob": 0.0,
}


def tokenizer() -> Tokenizer:
    """Words in small letters, signs apart, between [CLS] and [SEP]."""
    vocabulary = {piece: number for number, piece in enumerate(PIECES)}
    inner = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    inner.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, ends)
    inner.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return inner


def save_encoder(
    folder: Path, kind: str, head: str = "Model", **changes: object
) -> torch.nn.Module:
    """Write a random model of `kind` (Bert, Roberta, XLMRoberta); the model itself."""
    import transformers

    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **changes})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = getattr(transformers, f"{kind}{head}")(config).eval()
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.4)
    model.save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    return model
