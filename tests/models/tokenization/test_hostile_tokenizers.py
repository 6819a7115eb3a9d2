"""Tokenizers that their library would fail on: refused before, or with an error of ours."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Inner

from forethought.contracts.errors import DamagedFileError, ModelError, UnsupportedModelError
from forethought.models.chat.prompt import chat_prompt
from forethought.models.encoders.encoder import Encoder
from forethought.models.load import load
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.tokenization.tokenizer import Tokenizer, read_published
from tests.cli.tiny_folder import write_tiny_model
from tests.models.decoder.test_hostile_settings import change
from tests.models.tiny_encoders import save_encoder

DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
EMPTY = {"type": "Replace", "pattern": {"Regex": "(?:)"}, "content": "a"}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
ADDED = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
PADDED = {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
"""Of a length that no memory holds."""


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    return write_tiny_model(tmp_path / "model")


def edit(folder: Path, **parts: Any) -> Path:
    """Put parts into the folder's tokenizer.json; those of `model` one by one."""
    file = folder / "tokenizer.json"
    values = json.loads(file.read_text())
    values["model"].update(parts.pop("model", {}))
    values["model"]["vocab"].update(parts.pop("vocab", {}))
    values.update(parts)
    file.write_text(json.dumps(values))
    return file


def split(pattern: str) -> dict[str, Any]:
    own = {"Regex": pattern}
    return {"type": "Split", "pattern": own, "behavior": "Isolated", "invert": False}


def steps(kind: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", kind: list(parts)}


def added(token: int, content: str, *, special: bool = True) -> dict[str, Any]:
    return {"id": token, "content": content, "special": special, **ADDED}


TABLE = {"type": "Precompiled", "precompiled_charsmap": "////fw=="}
FRAME = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 500,
    "pair": [],
    "special_tokens": {},
}
REFUSED: dict[str, dict[str, Any]] = {
    "a token's number of 2^31": {"vocab": {"zz": 1 << 31}},
    "an added token's number of 2^31": {"added_tokens": [added(1 << 31, "<x>")]},
    "a number that is none": {"vocab": {"zz": "5"}},
    "a token of 300,000 characters": {"vocab": {"a" * 300_000: 256}},
    "forty steps that each double": {"normalizer": steps("normalizers", *[DOUBLE] * 40)},
    "matches of nothing": {"normalizer": steps("normalizers", *[EMPTY] * 40)},
    "bytes of bytes of bytes": {"normalizer": steps("normalizers", *[BYTES] * 40)},
    "decoding that doubles": {"decoder": steps("decoders", *[DOUBLE] * 40)},
    "spaces between all letters, forty times": {
        "decoder": steps(
            "decoders",
            *[{"type": "CTC", "pad_token": "a", "cleanup": True, "word_delimiter_token": ""}] * 40,
        )
    },
    "a frame of 500 times the text": {"post_processor": FRAME},
    "a pattern given up on": {"pre_tokenizer": split(r"(a+)+$")},
    "a table that is cut": {"normalizer": TABLE},
    "an empty text replaced": {"normalizer": {**DOUBLE, "pattern": {"String": ""}}},
    "pieces of no length": {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
    "more cut off than there is": {
        "decoder": {"type": "Strip", "content": "a", "start": 1 << 40, "stop": 1 << 40}
    },
    "an unknown token that is unknown": {"model": {"unk_token": "nope", "vocab": {"a": 0}}},
    "merges that cut a character": {
        "vocab": {"éé": 256},
        "model": {"continuing_subword_prefix": "#", "merges": [["Ã", "©"]]},
    },
    "merges left out at random": {"model": {"dropout": 0.5}},
    "a list of steps": {"normalizer": [DOUBLE]},
    "no model": {"model": {"type": 5}},
}


@pytest.mark.parametrize("parts", REFUSED.values(), ids=REFUSED)
def test_a_tokenizer_that_its_library_fails_on_is_refused(
    folder: Path, parts: dict[str, Any]
) -> None:
    edit(folder, **parts)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            load(str(folder), device="cpu")
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
    assert caught.value.hint


@pytest.mark.parametrize("strategy", [{"Fixed": (1 << 32) - 1}, "BatchLongest"])
def test_lengths_that_texts_are_padded_or_cut_to_do_not_matter(folder: Path, strategy: Any) -> None:
    padding = {"strategy": strategy, "pad_to_multiple_of": 1 << 32, **PADDED}
    cut = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 5}
    inner = read_published(edit(folder, padding=padding, truncation=cut))

    assert len(inner.encode("hello").ids) == 5


def test_a_pattern_given_up_on_while_encoding_is_an_error_of_ours(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    inner = read_published(edit(folder, pre_tokenizer=split(r"(q+)+$")))
    tokenizer = Tokenizer(inner)

    assert tokenizer.encode("hello")
    with pytest.raises(DamagedFileError, match="cannot read this text"):
        tokenizer.encode("q" * 40 + "b")


def test_an_interruption_inside_the_library_stays_one() -> None:
    from forethought.models.tokenization.library import library_errors

    with pytest.raises(KeyboardInterrupt), library_errors("x", "y"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "parts",
    [
        {"vocab": {"zz": 256}},
        {"added_tokens": [added(256, "<x>", special=False)]},
    ],
    ids=["of the vocabulary", "added"],
)
def test_text_that_becomes_tokens_without_an_embedding_is_refused_while_loading(
    folder: Path, parts: dict[str, Any]
) -> None:
    edit(folder, **parts)

    with pytest.raises(UnsupportedModelError, match="beyond the embedding's 256 rows"):
        load(str(folder), device="cpu")


def test_a_control_token_without_an_embedding_matters_where_a_template_writes_it(
    folder: Path,
) -> None:
    edit(folder, added_tokens=[added(256, "<image>")])
    plain = load(str(folder), device="cpu")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}<image>")
    written = load(str(folder), device="cpu")

    prompt = chat_prompt(plain.tokenizer, plain.template, "an <image>")
    assert max(prompt.tokens) < 256
    with pytest.raises(
        UnsupportedModelError, match="'<image>', a token beyond the embedding's 256 rows"
    ):
        chat_prompt(written.tokenizer, written.template, "hello")


def test_texts_that_begin_with_a_token_without_an_embedding_are_refused(folder: Path) -> None:
    edit(folder, added_tokens=[added(256, "<s>")])
    change(folder / "tokenizer_config.json", bos_token="<s>")

    with pytest.raises(UnsupportedModelError, match="the BOS token 256"):
        load(str(folder), device="cpu")


def test_an_encoder_whose_tokens_have_no_embedding_is_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path, "Bert")
    edit(tmp_path, vocab={"zebra": 5000})

    with pytest.raises(UnsupportedModelError, match="embedding's"):
        Encoder(FolderCheckpoint(tmp_path), "cpu")


def test_published_kinds_of_tokenizers_pass(tmp_path: Path) -> None:
    from tests.fuzz.tokenizer_mutants import _originals

    for text in _originals():
        (tmp_path / "tokenizer.json").write_text(text)
        found = read_published(tmp_path / "tokenizer.json")
        assert found.to_str() == Inner.from_str(text).to_str()
