from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.gguf.tokenizer import build_tokenizer
from tests.models.tiny_tokenizers import (
    DEFINED,
    NORMAL,
    PIECES,
    byte_level,
    metadata,
    piece_metadata,
)


def pieces_by_definition(text: str, stated: dict[str, Any]) -> list[str]:
    """Defined pieces first, longest first; then the best-scored pair is joined until none is."""
    scores = dict(
        zip(stated["tokenizer.ggml.tokens"], stated["tokenizer.ggml.scores"], strict=True)
    )
    defined = sorted((d.replace(" ", "▁") for d in DEFINED), key=len, reverse=True)
    rest, parts = text.replace(" ", "▁"), []
    while rest:
        whole = next((d for d in defined if rest.startswith(d)), None)
        part = whole or rest[0]
        parts.append((part, whole is not None))
        rest = rest[len(part) :]
    while True:
        joins = [
            (scores[a + b], -i)
            for i, ((a, a_fixed), (b, b_fixed)) in enumerate(pairwise(parts))
            if a + b in PIECES and not a_fixed and not b_fixed
        ]
        if not joins:
            return [part for part, _ in parts]
        at = -max(joins)[1]
        parts[at : at + 2] = [(parts[at][0] + parts[at + 1][0], False)]


@given(
    st.lists(st.sampled_from(["a", "b", "c", "cab", " ", "    ", "é", "\n", "<b>"])).map("".join)
)
def test_pieces_are_joined_best_score_first(text: str) -> None:
    stated = piece_metadata(prefix=False)

    found = build_tokenizer(stated).encode(text, add_special_tokens=False)

    assert found.tokens == pieces_by_definition(text, stated)


@pytest.mark.parametrize("prefix", [True, False])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="▁\ufffd\n"), max_size=30))
def test_any_text_survives_pieces_and_bytes(prefix: bool, text: str) -> None:
    tokenizer = build_tokenizer(piece_metadata(prefix))

    tokens = tokenizer.encode(text, add_special_tokens=False).ids

    assert tokenizer.decode(tokens, skip_special_tokens=False) == text


def test_smollm_splits_numbers_into_digits_and_keeps_words_apart() -> None:
    tokens = byte_level("smollm").encode("hello world 123").tokens

    assert tokens[0] == "hello"
    assert tokens[1] == "Ġw"
    assert tokens[-4:] == ["Ġ", "1", "2", "3"]


def test_qwen2_composes_accents() -> None:
    tokenizer = byte_level("qwen2")

    assert tokenizer.encode("e\u0301").ids == tokenizer.encode("\u00e9").ids


@pytest.mark.parametrize("split", ["smollm", "qwen2", "llama-bpe", "gpt-2", "dbrx"])
@given(text=st.text(max_size=30))
def test_any_text_survives_byte_pairs(split: str, text: str) -> None:
    tokenizer = byte_level(split)
    expected = tokenizer.normalizer.normalize_str(text) if split == "qwen2" else text

    tokens = tokenizer.encode(text, add_special_tokens=False).ids

    assert tokenizer.decode(tokens, skip_special_tokens=False) == expected


def test_an_unknown_splitting_pattern_names_the_known_ones() -> None:
    with pytest.raises(UnsupportedModelError, match="'klingon'") as caught:
        byte_level("klingon")

    assert "qwen2" in caught.value.hint


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="'rwkv'"):
        build_tokenizer(metadata("rwkv", ["a"], [NORMAL]))


def test_merges_outside_the_vocabulary_are_refused() -> None:
    with pytest.raises(DamagedFileError, match="lacks"):
        build_tokenizer(metadata("gpt2", ["a", "b"], [NORMAL] * 2, merges=["a b"]))
