"""Loads a transformers model from a folder, after checking its sizes against the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from forethought.contracts.errors import (
    DamagedFileError,
    ForethoughtError,
    UnsupportedModelError,
)
from forethought.models.checkpoint.claims import Claims
from forethought.models.checkpoint.json_file import read_json
from forethought.models.checkpoint.weight_index import stored_tensors
from forethought.models.decoder.families import MOST_LAYERS

_MOST_STATED = 1 << 31  # bound on whole numbers in a configuration
_SMALLEST_ELEMENT = 0.5  # bytes
_MOST_BUFFER_BYTES = 1 << 28  # bytes of computed buffers, such as masks


def load_model(folder: Path) -> Any:
    """The transformers model in a folder, with all of its tensors.

    Raises DamagedFileError for missing or too small tensors, and UnsupportedModelError if
    transformers is missing or cannot run the model.
    """
    try:
        from transformers import AutoConfig, AutoModelForCausalLM
        from transformers.utils import logging
    except ImportError as missing:
        raise UnsupportedModelError(
            f"the model in {folder.name} needs transformers",
            "pip install '.[hub]' in a checkout",
        ) from missing
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    _check_counts(read_json(folder / "config.json"), folder)
    with transformers_errors(folder.name):
        settings = {"trust_remote_code": False, "local_files_only": True}
        config = AutoConfig.from_pretrained(folder, **settings)
        _check_layers(config, folder)
        with torch.device("meta"):
            _check_size(AutoModelForCausalLM.from_config(config, trust_remote_code=False), folder)
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype="auto",
            attn_implementation="eager",
            use_safetensors=True,
            output_loading_info=True,
            **settings,
        )
    lacking = sorted(
        str(key) for kind in ("missing_keys", "mismatched_keys") for key in found[kind]
    )
    if lacking:  # transformers fills them with random numbers
        raise DamagedFileError(
            f"{folder} lacks tensors that the model needs: {', '.join(lacking[:3])}",
            "fetch the model again",
        )
    return model


@contextmanager
def transformers_errors(name: str) -> Iterator[None]:
    """Turn exceptions of transformers into our errors, with the model's name."""
    try:
        yield
    except ForethoughtError:
        raise
    except OSError as error:
        raise DamagedFileError(
            f"transformers cannot read {name}: {str(error)[:200]}", "fetch the model again"
        ) from error
    except Exception as error:  # models raise any type for wrong settings
        raise unsupported(name, f"{type(error).__name__}: {str(error)[:200]}") from error


def unsupported(name: str, why: str) -> UnsupportedModelError:
    """The error for a model that transformers cannot run behind the seam."""
    return UnsupportedModelError(
        f"{name} cannot run correctly through transformers: {why}",
        "choose a model of another architecture, or run it behind an OpenAI-compatible server",
    )


def _check_counts(stated: Mapping[str, Any], folder: Path) -> None:
    """Raise DamagedFileError for absurd whole numbers in a configuration."""
    claims = Claims(stated, str(folder / "config.json"))
    for key, value in stated.items():
        if isinstance(value, int) and not -_MOST_STATED < value < _MOST_STATED:
            raise claims.wrong(key, value, f"a number up to {_MOST_STATED:,}")
        if isinstance(value, Mapping):
            _check_counts(value, folder)


def _check_layers(config: Any, folder: Path) -> None:
    layers = getattr(config.get_text_config(), "num_hidden_layers", None)
    held = len(stored_tensors(folder))
    if not isinstance(layers, int) or not 1 <= layers <= min(held, MOST_LAYERS):
        raise DamagedFileError(
            f"{folder} states {layers!r} layers, and holds {held:,} tensors",
            "fetch the model again",
        )


def _check_size(model: Any, folder: Path) -> None:
    """Compare a model's size, computed on the meta device, with the folder's files."""
    held = sum(file.stat().st_size for file in {t.file for t in stored_tensors(folder).values()})
    needed = sum(parameter.numel() for parameter in model.parameters())
    computed = sum(buffer.nbytes for buffer in model.buffers())
    if needed * _SMALLEST_ELEMENT > held or computed > held + _MOST_BUFFER_BYTES:
        raise DamagedFileError(
            f"{folder} holds {held:,} bytes of tensors, and its configuration describes a model "
            f"of {needed:,} parameters",
            "fetch the model again",
        )
