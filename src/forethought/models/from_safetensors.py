"""Folders as model hubs publish them: config.json, safetensors and a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor

from forethought.contracts.errors import DamagedFileError, UnsupportedModelError
from forethought.models.checkpoint import Ends
from forethought.models.quantise import Levels
from forethought.models.tokenizer import read_inner


class FolderCheckpoint:
    """A folder of safetensors.

    Raises DamagedFileError where a file is missing or unreadable, UnsupportedModelError
    where weights are stored in a way we cannot read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = read_json(folder / "config.json")
        if "quantization_config" in self.config:
            raise UnsupportedModelError(
                f"{folder} holds weights quantised for another library",
                "use the unquantised model, or its GGUF file",
            )
        self._files = _tensor_files(folder)
        self.names: Collection[str] = self._files.keys()
        settings = read_optional(folder / "tokenizer_config.json")
        self.template = template_of(folder, settings)
        self.ends = ends_of(folder, self.config, settings)
        self.notes: tuple[str, ...] = ()

    def tokenizer(self) -> Tokenizer:
        """The folder's tokenizer.json, or what transformers makes of its older files."""
        return tokenizer_of(self.folder)

    def tensor(self, name: str) -> Tensor:
        """A tensor as stored."""
        if name not in self._files:
            raise DamagedFileError(
                f"{self.folder} lacks the tensor {name}", "check that all its files are there"
            )
        with safe_open(self._files[name], "pt") as file:
            found: Tensor = file.get_tensor(name)
        return found

    def levels(self, name: str) -> Levels | None:
        """None: nothing here is stored in 4 bit."""
        return None


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder.

    Raises UnsupportedModelError where there are only other kinds.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = read_json(index).get("weight_map", {}).values()
        return [folder / name for name in dict.fromkeys(names)]
    single = folder / "model.safetensors"
    files = [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    if not files:
        raise UnsupportedModelError(
            f"{folder} holds no safetensors", "only safetensors and GGUF weights are read"
        )
    return files


def _tensor_files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, "pt") as file:
                found |= dict.fromkeys(file.keys(), path)
        except (OSError, SafetensorError) as error:
            raise DamagedFileError(f"{path} cannot be read: {error}", "fetch it again") from error
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; DamagedFileError where there is none."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read: {error}", "fetch it again") from error
    if not isinstance(values, dict):
        raise DamagedFileError(f"{path} holds no JSON object", "fetch it again")
    return values


def read_optional(path: Path) -> dict[str, Any]:
    """As `read_json`, and nothing for a file that is not there."""
    return read_json(path) if path.is_file() else {}


def template_of(folder: Path, settings: dict[str, Any]) -> str:
    """The chat template, from its own file or from the tokenizer's settings."""
    alone = folder / "chat_template.jinja"
    if alone.is_file():
        try:
            return alone.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{alone} cannot be read: {error}", "fetch it again") from error
    stated = settings.get("chat_template") or ""
    if isinstance(stated, list):
        named = {entry.get("name"): entry.get("template") for entry in stated}
        stated = named.get("default") or ""
    return str(stated)


def ends_of(folder: Path, config: dict[str, Any], settings: dict[str, Any]) -> Ends:
    """Beginning and ending tokens, as the generation settings and the tokenizer state them."""
    inner = tokenizer_of(folder)
    generation = read_optional(folder / "generation_config.json")
    eos = generation.get("eos_token_id", config.get("eos_token_id"))
    listed = list(eos) if isinstance(eos, list) else [eos]
    named = inner.token_to_id(_text(settings.get("eos_token")))
    bos = inner.token_to_id(_text(settings.get("bos_token")))
    stated = settings.get("add_bos_token")
    return Ends(
        bos=config.get("bos_token_id") if bos is None else bos,
        eos=tuple(dict.fromkeys(token for token in [*listed, named] if isinstance(token, int))),
        add_bos=_adds_bos(inner, bos) if stated is None else bool(stated),
    )


def _text(token: Any) -> str:
    """Tokens are stated as text, or as a record that holds it."""
    return str(token["content"] if isinstance(token, dict) else token or "")


def _adds_bos(inner: Tokenizer, bos: int | None) -> bool:
    return bos is not None and bos in inner.encode("a", add_special_tokens=True).ids[:1]


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder; older kinds are converted by transformers."""
    path = folder / "tokenizer.json"
    if path.is_file():
        return read_inner(path)
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UnsupportedModelError(
            f"{folder} holds no tokenizer.json", "pip install 'forethought[hub]' converts it"
        ) from error
    try:
        converted = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        inner: Tokenizer = converted.backend_tokenizer
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UnsupportedModelError(
            f"the tokenizer in {folder} cannot be converted: {error}",
            "use a model that comes with a tokenizer.json",
        ) from error
    return inner
