"""T5 readers against transformers, on random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from forethought.contracts.errors import DamagedFileError, UnknownNameError, UnsupportedModelError
from forethought.models.encoders.reader import PassageReader, open_reader
from forethought.models.sources.folder import FolderCheckpoint
from tests.models.tiny_readers import first_attention, save_reader

PASSAGES = [list(range(5, 60)), [7, 8, 9, 258], list(range(200, 229))]


def opened(folder: Path) -> PassageReader:
    return PassageReader(FolderCheckpoint(folder), "cpu")


@pytest.mark.parametrize("forward", ["relu", "gated-gelu"])
def test_the_first_tokens_attention_equals_that_of_transformers(
    tmp_path: Path, forward: str
) -> None:
    model = save_reader(tmp_path, feed_forward_proj=forward)

    found = opened(tmp_path).scores(PASSAGES)

    for one, expected in zip(found, first_attention(model, PASSAGES), strict=True):
        np.testing.assert_allclose(one, expected, rtol=2e-4, atol=1e-6)
    # Each layer and head spreads an attention of 1 over all passages.
    assert sum(float(one.sum()) for one in found) == pytest.approx(3 * 4, rel=1e-5)


def test_a_wrapped_checkpoint_has_the_same_weights(tmp_path: Path) -> None:
    save_reader(tmp_path)
    plain = opened(tmp_path).scores(PASSAGES)
    file = tmp_path / "model.safetensors"
    wrapped = {
        name.replace("encoder.", "encoder.encoder.", 1).replace(".layer.", ".module.layer.", 1)
        if name.startswith("encoder.")
        else name: tensor
        for name, tensor in load_file(file).items()
    }
    save_file(wrapped, file, {"format": "pt"})

    found = opened(tmp_path).scores(PASSAGES)

    for one, expected in zip(found, plain, strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-5)


def test_other_models_are_refused(tmp_path: Path) -> None:
    save_reader(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())

    for changes, error in (
        ({"model_type": "bart"}, UnsupportedModelError),
        ({"feed_forward_proj": "silu"}, UnsupportedModelError),
        ({"d_ff": 41}, DamagedFileError),
        ({"eos_token_id": 999}, DamagedFileError),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
        with pytest.raises(error):
            opened(tmp_path)


def test_a_missing_reader_says_where_it_is_published() -> None:
    with pytest.raises(UnknownNameError) as caught:
        open_reader("checkpoints_fid/no/reader")

    assert "eunseongc/R2C" in caught.value.hint
    assert "encoder" in caught.value.hint


def test_the_end_of_a_long_question_is_read(tmp_path: Path) -> None:
    save_reader(tmp_path)
    reader = opened(tmp_path)

    assert reader.newest("Who signed it?", 4) == " it?"
    assert reader.newest("Who?", 4) == "Who?"
