"""Small tokenizers, built from the metadata that GGUF files hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from tokenizers import Tokenizer

from forethought.models.gguf.tokenizer import build_tokenizer
from tests.models.tiny_gguf import CONTROL, MERGES, vocabulary

NORMAL, UNKNOWN, CONTROL_KIND, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
PIECES = ["▁", "a", "b", "c", "ab", "bc", "abc", "▁a", "▁ab", "ca", "cab", "aa", "é"]
DEFINED = ["  ", "   ", "\n", "\n\n", "<b>"]


def byte_level(split: str) -> Tokenizer:
    texts = vocabulary()
    kinds = [CONTROL_KIND] * len(CONTROL) + [NORMAL] * (len(texts) - len(CONTROL))
    return build_tokenizer(metadata("gpt2", texts, kinds, pre=split, merges=MERGES))


def metadata(model: str, texts: list[str], kinds: list[int], **more: Any) -> dict[str, Any]:
    stated = {"model": model, "tokens": texts, "token_type": np.array(kinds), **more}
    return {f"tokenizer.ggml.{key}": value for key, value in stated.items()}


def piece_metadata(prefix: bool) -> dict[str, Any]:
    spare = [f"<0x{byte:02X}>" for byte in range(256)]
    texts = ["<unk>", "<s>", *DEFINED, *spare, *PIECES]
    kinds = [UNKNOWN, CONTROL_KIND, *[USER_DEFINED] * len(DEFINED), *[BYTE] * 256]
    kinds += [NORMAL] * len(PIECES)
    # Later pieces score lower, except for one: rank must follow the score, not the place.
    scores = [-float(i) for i in range(len(texts))]
    scores[texts.index("cab")] = 0.0
    more = {"scores": np.array(scores, np.float32), "add_space_prefix": prefix}
    return metadata("llama", texts, kinds, **more)
