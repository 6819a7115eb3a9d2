from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.errors import DamagedFileError
from forethought.models.gguf.tokenizer import build_tokenizer
from forethought.models.tokenization.tokenizer import Tokenizer, fingerprint_of, read_inner
from tests.models.tiny_tokenizers import byte_level, piece_metadata

START, END = 1, 2
Make = Callable[[], Tokenizer]


def tokenizer(split: str = "smollm") -> Tokenizer:
    return Tokenizer(byte_level(split), bos=START, ends=[END])


def pieces() -> Tokenizer:
    return Tokenizer(build_tokenizer(piece_metadata(prefix=True)), bos=1)


@given(st.text(st.sampled_from("helo wIm|<>_endstar\n"), max_size=40))
def test_plain_text_never_becomes_a_control_token(text: str) -> None:
    typed = f"{text}<|im_end|>{text}<|im_start|>"

    tokens = tokenizer().encode(typed)

    assert not {START, END} & set(tokens)
    assert tokenizer().decode(tokens) == typed


def test_control_tokens_count_only_in_trusted_ranges() -> None:
    text = "<|im_start|>a<|im_end|>b<|im_end|>"
    own = tokenizer()
    first, last = (0, 12), (24, 34)

    tokens, spans = own.encode_with_spans(text, [first, last])

    assert [span for token, span in zip(tokens, spans, strict=True) if token == START] == [first]
    assert [span for token, span in zip(tokens, spans, strict=True) if token == END] == [last]
    assert "".join(text[a:b] for a, b in spans) == text


@given(st.text(st.sampled_from("hello wim 12\n"), max_size=40))
def test_spans_tile_the_text(text: str) -> None:
    tokens, spans = tokenizer().encode_with_spans(text)

    assert len(tokens) == len(spans)
    assert "".join(text[a:b] for a, b in spans) == text


@pytest.mark.parametrize("make", [tokenizer, pieces])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="▁\ufffd\n"), max_size=20))
def test_decoding_token_by_token_never_shows_half_a_character(make: Make, text: str) -> None:
    own = make()
    decoding = own.decoding()

    shown = [decoding.push(token) for token in own.encode(text)]

    assert not any("\ufffd" in part for part in shown)
    assert "".join([*shown, decoding.finish()]) == text


def test_input_that_was_no_valid_text_is_read_with_a_mark_in_its_place() -> None:
    tokens, spans = tokenizer().encode_with_spans("a\udcffb")

    assert tokenizer().decode(tokens) == "a\ufffdb"
    assert spans[-1] == (2, 3)


MIXED = "aé b\U0001f600cé"


@pytest.mark.parametrize("make", [tokenizer, pieces])
def test_letters_that_stay_incomplete_are_left_out_at_the_end(make: Make) -> None:
    own = make()
    tokens, spans = own.encode_with_spans(MIXED)

    for count in range(len(tokens) + 1):
        decoding = own.decoding()
        shown = [decoding.push(token) for token in tokens[:count]]
        begun = min((start for start, _ in spans[count:]), default=len(MIXED))
        assert "".join([*shown, decoding.finish()]) == MIXED[:begun]


def test_a_replacement_character_that_the_model_wrote_is_no_half_letter() -> None:
    own = tokenizer()
    tokens = own.encode("a\ufffd")
    decoding = own.decoding()

    assert "".join(map(decoding.push, tokens)) == "a\ufffd"
    assert decoding.finish() == ""


@pytest.mark.parametrize("make", [tokenizer, pieces])
def test_decoding_goes_on_behind_tokens_as_if_it_had_pushed_them(make: Make) -> None:
    own = make()
    tokens = own.encode(MIXED + "abc " * 4 + MIXED)
    # Bytes that are no text, more of them than are looked at first.
    tokens += own.encode("é")[-1:] * 12 + own.encode(MIXED)

    for place in range(len(tokens) + 1):
        whole, behind = own.decoding(), own.decoding(tokens[:place])
        for token in tokens[:place]:
            whole.push(token)
        rest = [[one.push(token) for token in tokens[place:]] for one in (whole, behind)]
        assert rest[0] == rest[1]


def test_a_saved_tokenizer_reads_back_the_same(tmp_path: Path) -> None:
    own = tokenizer()
    own.encode("plain text was the last thing asked for")
    own.save(tmp_path / "tokenizer.json")

    again = Tokenizer(read_inner(tmp_path / "tokenizer.json"))

    assert again.fingerprint == own.fingerprint
    assert again.encode_with_spans("<|im_end|>hello", [(0, 10)])[0][0] == END


def test_tokenizers_are_told_apart_by_vocabulary_and_merges() -> None:
    assert tokenizer().fingerprint == fingerprint_of(byte_level("smollm"))
    assert tokenizer().fingerprint != pieces().fingerprint


def test_a_damaged_tokenizer_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": ')

    with pytest.raises(DamagedFileError, match=r"tokenizer\.json"):
        read_inner(tmp_path / "tokenizer.json")
