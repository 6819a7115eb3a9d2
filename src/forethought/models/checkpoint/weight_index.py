"""Finds the file and header of each tensor of a model folder.

Reads headers only; the safetensors library checks offsets and sizes against each file's length.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint.claims import Claims, shortened
from forethought.models.checkpoint.json_file import read_json
from forethought.models.checkpoint.tensor_folder import StoredTensor, headers

_INDEX = "model.safetensors.index.json"
_MOST_INDEX_BYTES = 1 << 26
_AGAIN = "fetch it again"


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder.

    Raises UnsupportedModelError if there are none, and DamagedFileError for a malformed index.
    """
    if (folder / _INDEX).is_file():
        return list(dict.fromkeys(folder / name for name in _weight_map(folder).values()))
    single = folder / "model.safetensors"
    files = [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    if not files:
        raise UnsupportedModelError(
            f"{folder} holds no safetensors", "use a model with safetensors or GGUF weights"
        )
    return files


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """All tensors of a model folder by name; the index decides between duplicates."""
    index = _weight_map(folder) if (folder / _INDEX).is_file() else {}
    stated = {name: folder / file for name, file in index.items()}
    found: dict[str, StoredTensor] = {}
    for path in weight_files(folder):
        for name, stored in headers(path):
            if name not in found or stated.get(name) == path:
                found[name] = stored
            elif name not in stated:
                raise DamagedFileError(
                    f"{path} and {found[name].file.name} both hold {shortened(name)}",
                    "keep the files of one model in the folder",
                )
    return found


def _weight_map(folder: Path) -> dict[str, str]:
    """The index: file by tensor, with all files checked to be inside the folder."""
    path = folder / _INDEX
    stated = Claims(read_json(path, _MOST_INDEX_BYTES), str(path), _AGAIN).inner("weight_map")
    if not stated.stated:
        raise DamagedFileError(f"{path} lists no files", _AGAIN)
    files = {name: stated.text(name) for name in stated.stated}
    for name in set(files.values()):
        if not _stays_inside(name):
            raise DamagedFileError(
                f"{path} names the file {shortened(name)}, which is outside the folder",
                "use an index with files of its own folder",
            )
    return files


def _stays_inside(name: str) -> bool:
    """Whether a relative path stays in its folder; symbolic links are allowed."""
    paths = PurePosixPath(name), PureWindowsPath(name)
    inside = all(not path.anchor and ".." not in path.parts for path in paths)
    return inside and "\0" not in name and name.endswith(".safetensors")
