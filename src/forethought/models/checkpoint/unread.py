"""Finds tensors of a checkpoint that the decoder would ignore."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import torch

from forethought.contracts.errors import UnsupportedModelError
from forethought.models.checkpoint.checkpoint import Checkpoint
from forethought.models.decoder.names import Source

_HARMLESS = r"rotary_emb\w*\.\w*inv_freq$"  # implied by the configuration
_BESIDE = {"gemma3": r"^(model\.)?(vision_tower|multi_modal_projector)\."}
"""By model type: the vision parts of multimodal models."""
_HEAD = "lm_head.weight"
_NAMED = 3


def check_all_read(
    checkpoint: Checkpoint, parts: Iterable[Source], also: Iterable[str] = ()
) -> None:
    """Raise UnsupportedModelError if an unread tensor would change the answers.

    `parts` and `also` name the tensors that are read. An output head beside tied embeddings is
    allowed if it equals them.
    """
    read = {name for source in parts for name in _flat(source)} | set(also)
    harmless = "|".join(filter(None, (_HARMLESS, _BESIDE.get(_kind(checkpoint)))))
    left = [name for name in checkpoint.names if name not in read]
    left = [name for name in left if not re.search(harmless, name)]
    left = [name for name in left if not _is_tied_head(checkpoint, name, read)]
    if left:
        more = f" and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
        raise UnsupportedModelError(
            f"a {_kind(checkpoint)} model does not use {', '.join(left[:_NAMED])}{more}",
            "use another export of this model, or merge its adapters into the weights",
        )


def _kind(checkpoint: Checkpoint) -> str:
    return str(checkpoint.config.get("model_type"))


def _flat(source: Source) -> Iterator[str]:
    for part in source:
        if isinstance(part, str):
            yield part
        else:
            yield from part


def _is_tied_head(checkpoint: Checkpoint, name: str, read: set[str]) -> bool:
    """Whether a tensor is an output head equal to the embeddings."""
    if not name.endswith(_HEAD):
        return False
    embedding = next(known for known in read if known.endswith("embed_tokens.weight"))
    if torch.equal(checkpoint.tensor(name), checkpoint.tensor(embedding)):
        return True
    raise UnsupportedModelError(
        f"{name} differs from the embeddings, although the configuration ties them",
        'set "tie_word_embeddings": false in its config.json to use the head',
    )
