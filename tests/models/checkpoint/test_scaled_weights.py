"""FP8 and int8 weights with scales: every stored value is read as its format defines it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.scaled_weights import unscaled
from forethought.models.load import load
from forethought.models.sources.folder import FolderCheckpoint
from tests.models.quantised_folders import (
    E4M3,
    FORMATS,
    INT8,
    Format,
    blocks_of,
    fp8,
    quantise,
    quantised,
    read_slowly,
    rows,
)
from tests.models.test_load import by_transformers, expected_logits, logits, relative_error
from tests.models.tiny_tokenizers import byte_level

_LARGEST_ERROR = {"another FP8": 0.2}
"""Of logits, by format: this one has two bits of mantissa, and the others have more."""


ROWS = Format(E4M3, rows, config=fp8())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "published"
    by_transformers().to(torch.bfloat16).save_pretrained(path)
    byte_level("smollm").save(str(path / "tokenizer.json"))
    return path


@pytest.fixture(scope="module")
def with_rows(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = shutil.copytree(plain, tmp_path_factory.mktemp("rows") / "published")
    quantise(path, ROWS)
    return path


@pytest.fixture
def folder(plain: Path, tmp_path: Path, own_cache: Path) -> Path:
    return shutil.copytree(plain, tmp_path / "published")


@pytest.fixture
def rows_folder(with_rows: Path, tmp_path: Path, own_cache: Path) -> Path:
    """A folder whose weights have a scale for each row."""
    return shutil.copytree(with_rows, tmp_path / "published")


@pytest.mark.parametrize("name", FORMATS)
def test_weights_are_what_the_format_defines_and_logits_are_near(name: str, folder: Path) -> None:
    meant = quantise(folder, FORMATS[name])

    checkpoint = FolderCheckpoint(folder)
    model = load(str(folder), device="cpu")

    assert set(checkpoint.names) == set(meant)
    for tensor, expected in meant.items():
        assert torch.equal(checkpoint.tensor(tensor), expected), tensor
    assert relative_error(logits(model), expected_logits(model)) < _LARGEST_ERROR.get(name, 0.1)
    converted = load_file(model.folder / "model.safetensors")
    assert torch.equal(
        converted["layers.1.down.weight"], meant["model.layers.1.mlp.down_proj.weight"]
    )


@pytest.mark.parametrize("shape", [(300, 200), (128, 128), (1, 130), (257, 1)])
def test_last_blocks_may_be_smaller(shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    form = Format(E4M3, blocks_of(128, 128))
    found = quantised(weight, form)

    read = unscaled(found["weight"], found["weight_scale"], None, (128, 128))

    assert torch.equal(read, read_slowly(found, form))


def test_long_matrices_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn((70, 33), generator=torch.Generator().manual_seed(0))
    form = Format(INT8, blocks_of(8, 16), zero_points=True)
    found = quantised(weight, form)
    monkeypatch.setattr("forethought.models.checkpoint.scaled_weights._VALUES_AT_ONCE", 100)

    read = unscaled(found["weight"], found["weight_scale"], found["weight_zero_point"], (8, 16))

    assert torch.equal(read, read_slowly(found, form))


@pytest.mark.parametrize("scales", [(1, 1), (24, 1), (2, 3)])
def test_stacked_experts_have_scales_each(scales: tuple[int, int], tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    block = 24 // scales[0], 30 // scales[1]
    form = Format(E4M3, blocks_of(*block))
    experts = [quantised(torch.randn((24, 30), generator=generator), form) for _ in range(3)]
    stacked = torch.stack([one["weight"] for one in experts])
    scale = torch.stack([one["weight_scale"] for one in experts])

    read = unscaled(stacked, scale, None, block)

    assert torch.equal(read, torch.stack([read_slowly(one, form) for one in experts]))


def test_a_scale_may_lie_in_another_file(folder: Path) -> None:
    meant = quantise(folder, FORMATS["compressed-tensors, rows"])
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: "b" if name.endswith("scale") else "a" for name in tensors}
    for part in ("a", "b"):
        some = {name: tensor for name, tensor in tensors.items() if places[name] == part}
        save_file(some, folder / f"{part}.safetensors")
    index = {"weight_map": {name: f"{part}.safetensors" for name, part in places.items()}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    checkpoint = FolderCheckpoint(folder)

    assert all(torch.equal(checkpoint.tensor(name), one) for name, one in meant.items())


def test_runs_are_told_that_weights_were_unscaled(folder: Path) -> None:
    quantise(folder, FORMATS["modelopt beside"])

    assert load(str(folder), device="cpu").notes == (
        "FP8 weights run as bf16, with bf16 activations",
        "stored scales of activations or of the KV cache are not used",
    )


def test_runs_are_told_that_nothing_states_how_weights_are_quantised(folder: Path) -> None:
    quantise(folder, FORMATS["int8, nothing stated"])

    first, second = load(str(folder), device="cpu").notes

    assert "int8" in first
    assert "no file states" in second


def changed(folder: Path, change: dict[str, Tensor | None]) -> None:
    """Replace or drop tensors of the folder."""
    file = folder / "model.safetensors"
    tensors = {**load_file(file), **change}
    save_file({name: one for name, one in tensors.items() if one is not None}, file)


DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({f"{DOWN}_scale": None}, "need one floating-point scale; found: none"),
        ({f"{DOWN}_scale_inv": torch.ones(64, 1)}, "need one floating-point scale"),
        ({f"{DOWN}_scale": torch.ones(64, 1).to(torch.uint8)}, r"\(U8\)"),
        ({f"{DOWN}_scale": torch.ones(63, 1)}, "fits neither"),
        ({f"{DOWN}_scale": torch.ones(1, 96)}, "fits neither"),
        ({f"{DOWN}_scale": torch.ones(2, 3)}, "fits neither"),
        ({f"{DOWN}_scale": torch.ones(0, 1)}, "fits neither"),
        ({f"{DOWN}_zero_point": torch.ones(64)}, "zero points"),
        ({"model.norm.weight": torch.ones(64).to(E4M3)}, "need one floating-point scale"),
    ],
)  # fmt: skip
def test_scales_that_fit_no_format_are_refused(
    change: dict[str, Tensor | None], said: str, rows_folder: Path
) -> None:
    changed(rows_folder, change)

    with pytest.raises(UnsupportedModelError, match=said):
        load(str(rows_folder), device="cpu")


def test_blocks_need_the_size_that_is_stated(folder: Path) -> None:
    form = Format(
        E4M3, blocks_of(16, 32), scale_name="weight_scale_inv", config=fp8(weight_block_size=[8, 8])
    )
    quantise(folder, form)

    with pytest.raises(UnsupportedModelError, match="fits neither"):
        FolderCheckpoint(folder)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_scales_that_are_no_numbers_are_refused(value: float, rows_folder: Path) -> None:
    changed(rows_folder, {f"{DOWN}_scale": torch.full((64, 1), value)})

    with pytest.raises(DamagedFileError, match=r"down_proj.*not finite"):
        load(str(rows_folder), device="cpu")
