"""The default model, fetched from the package index or taken from the user's cache."""

from __future__ import annotations

from pathlib import Path

from forethought.models.chat.prompt import chat_prompt
from forethought.models.model import Model
from forethought.models.sources.model_cache import Source


def test_its_sizes_and_ends_are_known(smollm2: Model) -> None:
    assert len(smollm2.shape.layers) == 30
    assert smollm2.shape.context == 8192
    assert smollm2.tokenizer.ends == {0, 2}
    assert smollm2.tokenizer.vocabulary_size == smollm2.shape.vocabulary == 49_152


def test_its_tokens_are_the_published_ones(smollm2: Model) -> None:
    text = "Hello, world! 12345\n\tdef f(x): return x**2  # naïve 日本 😀"

    tokens = smollm2.tokenizer.encode(text)

    assert smollm2.tokenizer.decode(tokens) == text
    assert tokens[:4] == [19556, 28, 905, 17]
    assert sum(len(smollm2.tokenizer.decode([token])) == 1 for token in tokens) > 5


def test_its_prompt_carries_the_default_system_message(smollm2: Model) -> None:
    prompt = chat_prompt(smollm2.tokenizer, smollm2.template, "Why?")

    assert prompt.text.startswith("<|im_start|>system\nYou are a helpful AI assistant")
    assert prompt.tokens[0] == smollm2.tokenizer.bos


def test_its_source_says_what_it_was_made_from(smollm2_folder: Path) -> None:
    source = Source.read(smollm2_folder)

    assert source.stamp.startswith("b179c952")
    assert (smollm2_folder / source.gguf).is_file()
