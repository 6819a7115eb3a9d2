"""NVIDIA's kvpress as a peer: a process in kvpress's own environment, one JSON line a request.

    PYTHON benchmarks/kvpress_peer.py MODEL.gguf --tokenizer FOLDER

A request is {"tokens": [...], "press": NAME, "keep": n, "max_new": n, "ends": [...]}. The prompt
is read whole under the press, as kvpress's pipeline reads a context, and the first token is the
exact one; the answer is written greedily over what the press left, at true positions.
Only kvpress, transformers and torch are needed; nothing of this package is imported.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kvpress
import torch
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils.logging import disable_progress_bar

WINDOW, KERNEL = 32, 5

PRESSES: dict[str, Callable[[float], Any]] = {
    "snapkv": lambda ratio: kvpress.SnapKVPress(ratio, WINDOW, KERNEL),
    "pyramidkv": lambda ratio: kvpress.PyramidKVPress(ratio, WINDOW, KERNEL),
    "ada-snapkv": lambda ratio: kvpress.AdaKVPress(kvpress.SnapKVPress(ratio, WINDOW, KERNEL)),
    "expected-attention": lambda ratio: kvpress.ExpectedAttentionPress(ratio),
    "ada-expected-attention": lambda ratio: kvpress.AdaKVPress(
        kvpress.ExpectedAttentionPress(ratio, epsilon=0.01)
    ),
    "streaming-llm": lambda ratio: kvpress.StreamingLLMPress(ratio),
    "knorm": lambda ratio: kvpress.KnormPress(ratio),
    "observed-attention": lambda ratio: kvpress.ObservedAttentionPress(ratio),
    "kvzip": lambda ratio: kvpress.KVzipPress(ratio),
    "kvzip-plus": lambda ratio: kvpress.KVzipPress(ratio, kvzip_plus_normalization=True),
    "tova": lambda ratio: kvpress.TOVAPress(ratio),
    "keydiff": lambda ratio: kvpress.BlockPress(kvpress.KeyDiffPress(ratio)),
    "compactor": lambda ratio: kvpress.CompactorPress(ratio),
    "chunkkv": lambda ratio: kvpress.ChunkKVPress(kvpress.SnapKVPress(ratio, WINDOW, KERNEL)),
    "entropy-gated-chunkkv": lambda ratio: kvpress.EntropyGatedChunkKVPress(
        kvpress.SnapKVPress(ratio, WINDOW, KERNEL)
    ),
    "criticalkv": lambda ratio: kvpress.CriticalKVPress(kvpress.SnapKVPress(ratio, WINDOW, KERNEL)),
}
EAGER = ("observed-attention",)  # sums the attention matrix, which only eager attention returns


class KVPress:
    """The model, and the presses over it."""

    def __init__(self, gguf: Path, tokenizer: Path, dtype: str) -> None:
        disable_progress_bar()
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
        self._model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=getattr(torch, dtype),
            attn_implementation="sdpa",
        ).eval()
        # KVzipPress loads a tokenizer by the model's name.
        self._model.config.name_or_path = str(tokenizer)

    def versions(self) -> dict[str, Any]:
        return {name: version(name) for name in ("kvpress", "transformers", "torch")}

    def logits(self, tokens: list[int]) -> dict[str, Any]:
        """The likeliest token after each of the prompt, and its logit."""
        with torch.inference_mode():
            best = self._model(torch.tensor([tokens])).logits[0].float().max(-1)
        return {"tokens": best.indices.tolist(), "logits": best.values.tolist()}

    def answer(
        self, tokens: list[int], press: str, keep: int, max_new: int, ends: list[int]
    ) -> dict[str, Any]:
        """Read the prompt under a press and write an answer."""
        self._model.set_attn_implementation("eager" if press in EAGER else "sdpa")
        cache = DynamicCache()
        with torch.inference_mode():
            start = time.perf_counter()
            # kvpress rounds down; half an entry more gives `keep` whatever the rounding of floats.
            share = (keep + 0.5) / len(tokens)
            exact = press == "none" or share >= 1
            applied = contextlib.nullcontext() if exact else PRESSES[press](1 - share)(self._model)
            with applied:
                out = self._model(
                    input_ids=torch.tensor([tokens]), past_key_values=cache, logits_to_keep=1
                )
            written = [int(out.logits[0, -1].argmax())]
            first_token = time.perf_counter() - start
            start = time.perf_counter()
            held = 0
            while len(written) < max_new and written[-1] not in ends:
                written.append(self._next(written[-1], len(tokens) + len(written) - 1, cache))
                # After a step, since until then what a press cut may be a view of all it read.
                held = held or cache_bytes(cache)
            decode = time.perf_counter() - start
        return {
            "tokens": [token for token in written if token not in ends],
            "first_token": first_token,
            "per_token": decode / (len(written) - 1) if len(written) > 1 else None,
            "cache_bytes": held or cache_bytes(cache),
        }

    def _next(self, token: int, position: int, cache: DynamicCache) -> int:
        out = self._model(
            input_ids=torch.tensor([[token]]),
            past_key_values=cache,
            position_ids=torch.tensor([[position]]),
        )
        return int(out.logits[0, -1].argmax())


def cache_bytes(cache: DynamicCache) -> int:
    """Bytes of the storages of all keys and values, each counted once."""
    storages = [t.untyped_storage() for layer in cache.layers for t in (layer.keys, layer.values)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def loadable(folder: Path, place: Path) -> Path:
    """The tokenizer of `folder` as transformers loads one, in `place`."""
    for name in ("tokenizer.json", "chat_template.jinja"):
        shutil.copy(folder / name, place)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (place / "tokenizer_config.json").write_text(json.dumps(settings))
    return place


def main() -> None:
    """Serve requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of its tokenizer")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    options = parser.parse_args()
    # Libraries print to standard output as they please; answers go to a copy of it.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as place:
        peer = KVPress(options.gguf, loadable(options.tokenizer, Path(place)), options.dtype)
        for line in sys.stdin:
            request = json.loads(line)
            answer = getattr(peer, request.pop("call"))(**request)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
