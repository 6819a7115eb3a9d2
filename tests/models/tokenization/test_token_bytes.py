"""The bytes of tokens: together they are the text, and a part of a character has its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Inner
from tokenizers import decoders, models

from forethought.models.gguf.tokenizer import build_tokenizer
from forethought.models.model import Model
from forethought.models.tokenization.tokenizer import Tokenizer
from tests.models.tiny_tokenizers import byte_level, piece_metadata
from tests.tiny_model import tiny_tokenizer

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="▁"), max_size=30)
MAKES = [
    lambda: tiny_tokenizer(60),
    lambda: Tokenizer(byte_level("smollm")),
    lambda: Tokenizer(byte_level("qwen2")),
    lambda: Tokenizer(build_tokenizer(piece_metadata(prefix=False))),
]


@pytest.mark.parametrize("make", MAKES)
@given(text=TEXT)
def test_the_bytes_of_all_tokens_are_the_text(make: Callable[[], Tokenizer], text: str) -> None:
    tokenizer = make()
    tokens = tokenizer.encode(text)

    assert b"".join(map(tokenizer.bytes_of, tokens)).decode() == tokenizer.decode(tokens)


def test_a_dropped_space_at_the_start_of_a_text_is_among_the_bytes() -> None:
    tokenizer = Tokenizer(build_tokenizer(piece_metadata(prefix=True)))
    tokens = tokenizer.encode("abc 😀")

    assert tokenizer.decode(tokens) == "abc 😀"
    assert b"".join(map(tokenizer.bytes_of, tokens)) == " abc 😀".encode()


def test_a_part_of_a_character_has_its_own_bytes() -> None:
    tokenizer = tiny_tokenizer()
    tokens = tokenizer.encode("é")

    assert [tokenizer.bytes_of(one) for one in tokens] == [b"\xc3", b"\xa9"]


def test_control_tokens_and_unknown_ones_have_no_bytes() -> None:
    tokenizer = tiny_tokenizer()

    assert [tokenizer.bytes_of(one) for one in (*tokenizer.ends, 1 << 20)] == [b"", b""]


def test_a_decoder_of_another_kind_stores_text() -> None:
    inner = Inner(models.WordLevel({"é": 0, "Ġa": 1}, unk_token="é"))
    inner.decoder = decoders.Fuse()

    assert Tokenizer(inner).bytes_of(0) == "é".encode()
    assert Tokenizer(inner).bytes_of(1) == "Ġa".encode()


def test_the_bytes_of_the_default_model_are_its_texts(smollm2: Model) -> None:
    tokenizer = smollm2.tokenizer
    text = "Grüße, 世界! 😀\n\tdef f(x): return x**2\r\n  \x00"

    tokens = tokenizer.encode(text)

    assert b"".join(map(tokenizer.bytes_of, tokens)) == text.encode()
    assert tokenizer.bytes_of(tokenizer.encode(" the")[0]) == b" the"
