"""Tiny whole models: a random decoder behind a byte-level tokenizer and a chat template."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as Inner

from forethought.models.model import Model
from forethought.models.tokenization.tokenizer import Tokenizer
from tests.tiny import tiny_decoder

TEMPLATE = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}<s>assistant: "
TRAINING = Path(__file__).read_text()
"""Any text will do."""


def tiny_tokenizer(merges: int = 0) -> Tokenizer:
    """Bytes, two control tokens, and as many merges as asked for: another tokenizer each."""
    inner = Inner(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + merges, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator([TRAINING], trainer)
    inner.add_special_tokens([AddedToken("<s>"), AddedToken("</s>")])
    end = inner.token_to_id("</s>")
    return Tokenizer(inner, bos=inner.token_to_id("<s>"), ends=[end])


def tiny_model(name: str = "tiny", *, merges: int = 0, seed: int = 0, **changes: object) -> Model:
    """A model of random weights; `changes` go to its configuration."""
    tokenizer = tiny_tokenizer(merges)
    settings = {"vocab_size": tokenizer.vocabulary_size, "max_position_embeddings": 2048, **changes}
    return Model(name, Path(), tiny_decoder(seed=seed, **settings), tokenizer, TEMPLATE)
