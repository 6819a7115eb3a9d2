from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.gguf.file import GgufFile
from tests.models.tiny_gguf import TinyLlama, vocabulary, write_llama


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    write_llama(path, TinyLlama())
    return path


def test_metadata_and_tensors_are_what_was_written(file: Path) -> None:
    found = GgufFile.open(file)

    assert found.metadata["general.architecture"] == "llama"
    assert found.metadata["llama.rope.freq_base"] == 10_000.0
    assert found.metadata["tokenizer.ggml.add_bos_token"] is False
    assert found.metadata["tokenizer.ggml.tokens"] == vocabulary()
    norm = found.tensors["output_norm.weight"].dense()
    assert torch.equal(norm, torch.from_numpy(TinyLlama().tensors["model.norm.weight"]))


def test_a_file_cut_anywhere_is_refused(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in np.linspace(0, len(whole) - 33, 60).astype(int):
        cut.write_bytes(whole[:length])
        with pytest.raises(DamagedFileError, match=r"not a complete GGUF file") as caught:
            GgufFile.open(cut)
        assert caught.value.hint


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "story.gguf"
    path.write_text("Once upon a time there was no model in this file at all.")

    with pytest.raises(DamagedFileError, match="does not start with GGUF"):
        GgufFile.open(path)


def test_an_old_version_is_refused(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4] = 1
    file.write_bytes(data)

    with pytest.raises(UnsupportedModelError, match="version 1"):
        GgufFile.open(file)


def test_lengths_beyond_the_file_are_refused_without_allocating(file: Path) -> None:
    data = bytearray(file.read_bytes())
    place = data.index(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens") + 8
    data[place : place + 8] = (1 << 60).to_bytes(8, "little")
    file.write_bytes(data)

    with pytest.raises(DamagedFileError):
        GgufFile.open(file)
