"""Model caches that this user cannot write, cannot read, or that have no room left."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from forethought.contracts.errors import CacheError, DamagedFileError
from forethought.models.load import load, pull
from forethought.models.model import Model
from tests.bound_by_modes import bound_by_modes
from tests.models.test_load import logits, packed_elsewhere
from tests.models.tiny_gguf import TinyLlama, write_llama


@pytest.fixture
def shared(tmp_path: Path, own_cache: Path) -> Iterator[Path]:
    """A cache with a model, whose modes the test may change."""
    write_llama(tmp_path / "tiny.gguf", TinyLlama(), kind="Q4_1")
    pull(str(tmp_path / "tiny.gguf"))
    yield own_cache
    for path in (own_cache, *own_cache.rglob("*")):
        path.chmod(0o755)


def place(shared: Path) -> Path:
    return pull(str(shared.parent / "tiny.gguf"))


def set_modes(folder: Path, folders: int, files: int) -> None:
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        path.chmod(folders if path.is_dir() else files)


def loaded(shared: Path, weights: str = "auto") -> Model:
    with bound_by_modes():
        return load(str(shared.parent / "tiny.gguf"), weights=weights, device="cpu")


def decodes_with_bf16(model: Model) -> bool:
    return torch.equal(logits(model, "decode"), logits(model, "prefill"))


def test_a_read_only_cache_packed_for_this_machine_runs_as_ever(shared: Path) -> None:
    set_modes(shared, 0o555, 0o444)

    assert loaded(shared).notes == ()
    assert not decodes_with_bf16(loaded(shared, "int4"))


def test_a_read_only_cache_packed_elsewhere_runs_with_bf16_and_says_so(shared: Path) -> None:
    packed_elsewhere(place(shared))
    set_modes(shared, 0o555, 0o444)

    model = loaded(shared)

    assert decodes_with_bf16(model)
    (note,) = model.notes
    assert note.startswith("weights are bf16, not 4-bit: cannot write the model cache")
    assert note.endswith("Permission denied")


def test_four_bits_that_are_asked_for_are_refused_there(shared: Path) -> None:
    packed_elsewhere(place(shared))
    set_modes(shared, 0o555, 0o444)

    with pytest.raises(CacheError) as caught:
        loaded(shared, "int4")

    assert caught.value.hint == "set FORETHOUGHT_CACHE to a folder that you may write"


@pytest.mark.parametrize("weights", ["bf16", "int8"])
def test_other_formats_need_no_packed_weights(weights: str, shared: Path) -> None:
    packed_elsewhere(place(shared))
    set_modes(shared, 0o555, 0o444)

    assert loaded(shared, weights).notes == ()


def test_a_cache_without_room_for_packed_weights_runs_with_bf16(shared: Path) -> None:
    folder = place(shared)
    packed_elsewhere(folder)
    before = sorted(folder.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        model = loaded(shared)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert decodes_with_bf16(model)
    assert "File too large" in model.notes[0]
    assert sorted(folder.iterdir()) == before


def test_packed_weights_without_their_source_are_done_without(shared: Path) -> None:
    folder = place(shared)
    packed_elsewhere(folder)
    source = folder / "source.json"
    moved = str(shared.parent / "moved.gguf")
    source.write_text(source.read_text().replace(str(shared.parent / "tiny.gguf"), moved, 2))

    model = loaded(shared)

    assert decodes_with_bf16(model)
    assert "its GGUF file is missing" in model.notes[0]


@pytest.mark.parametrize(("folders", "files"), [(0o000, 0o000), (0o555, 0o000), (0o666, 0o666)])
def test_a_cache_that_cannot_be_read_is_explained(folders: int, files: int, shared: Path) -> None:
    set_modes(shared, folders, files)

    with pytest.raises(CacheError) as caught:
        loaded(shared)

    assert "FORETHOUGHT_CACHE" in caught.value.hint


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_of_the_cache_that_cannot_be_read_is_named(name: str, shared: Path) -> None:
    (place(shared) / name).chmod(0)

    with pytest.raises(DamagedFileError) as caught:
        loaded(shared)

    assert name in caught.value.message


def test_a_cache_of_another_user_that_holds_nothing_is_explained(shared: Path) -> None:
    (shared.parent / "tiny.gguf").rename(shared.parent / "other.gguf")
    set_modes(shared, 0o555, 0o444)

    with bound_by_modes(), pytest.raises(CacheError) as caught:
        load(str(shared.parent / "other.gguf"), device="cpu")

    assert "FORETHOUGHT_CACHE" in caught.value.hint
