"""The draft methods of furiosa-ai/draft-based-approx-llm as a peer, one JSON line a request.

    PYTHON benchmarks/furiosa_peer.py MODEL.gguf DRAFT.gguf --checkout FOLDER

A request is {"tokens": [...], "method": NAME, "keep": n, "max_new": n, "ends": [...]}. PYTHON is
of an environment with transformers 4.51.3, einops, pandas and gguf; FOLDER is a checkout of the
authors' repository, whose settings for Qwen2.5 are used. Nothing of this package is imported.
Prompts are read with dense attention: the authors' sparse kernel needs CUDA.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

DENSE = 1 << 20  # longer than any prompt, so that no prompt is read with the sparse kernel


class Watch:
    """When the target gave its logits, and what its cache held at the first of them."""

    def __init__(self, target: Any) -> None:
        self.times: list[float] = []
        self.cache_bytes = 0
        self._cache: Any = None
        target.model.register_forward_hook(self._note_cache, with_kwargs=True)
        target.lm_head.register_forward_hook(self._note_time)

    def restart(self) -> float:
        """Forget all, and the time it is."""
        self.times, self.cache_bytes, self._cache = [], 0, None
        return time.perf_counter()

    def _note_cache(self, module: Any, inputs: Any, named: dict[str, Any], out: Any) -> None:
        self._cache = named.get("past_key_values")

    def _note_time(self, module: Any, inputs: Any, out: Any) -> None:
        self.times.append(time.perf_counter())
        if not self.cache_bytes:
            self.cache_bytes = held(self._cache)


class Furiosa:
    """A target, its draft and the authors' methods."""

    def __init__(self, gguf: Path, draft: Path, dtype: str) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
        self._target, self._draft = opened(gguf, dtype), opened(draft, dtype)
        self._watch = Watch(self._target)

    def versions(self) -> dict[str, Any]:
        return {name: version(name) for name in ("transformers", "torch")}

    def answer(
        self, tokens: list[int], method: str, keep: int, max_new: int, ends: list[int]
    ) -> dict[str, Any]:
        """Read the prompt by a method and write an answer."""
        package = import_module("draft_approx_llm")
        # SpecKV leaves its attention in the target, where SpecPC would go through it too.
        import_module("draft_approx_llm.speckv.qwen2_util").reset_qwen2_model(self._target)
        package.patch_model(self._target, self._draft, settings(package, method, keep))
        start = self._watch.restart()
        with torch.inference_mode():
            out = self._target.generate(
                input_ids=torch.tensor([tokens]),
                attention_mask=torch.ones(1, len(tokens), dtype=torch.long),
                max_new_tokens=max_new,
                do_sample=False,
                eos_token_id=ends,
                pad_token_id=ends[0],
            )
        times = self._watch.times
        return {
            "tokens": [token for token in out.output_ids[0].tolist() if token not in ends],
            "first_token": times[0] - start,
            "per_token": (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else None,
            "cache_bytes": self._watch.cache_bytes,
        }


def settings(package: Any, method: str, keep: int) -> Any:
    """The authors' settings for Qwen2.5, but for the budget."""
    if method == "speckv":
        return package.SpecKVConfig(
            max_capacity_prompt=keep, window_size=32, kernel_size=7, prefill_window_size=DENSE
        )
    if method == "specpc":
        return package.SpecPCConfig(
            max_capacity_prompt=keep,
            window_size=64,
            kernel_size=64,
            neighbor_tokens=64,
            starting_layer_index=8,
        )
    raise SystemExit(f"no method is called {method}")


def opened(gguf: Path, dtype: str) -> Any:
    """A model from its GGUF file."""
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        torch_dtype=getattr(torch, dtype),
        attn_implementation="sdpa",
    )
    # A GGUF file names no window; transformers 4.51 then hides all but the last 4,096 tokens.
    model.config.sliding_window = None
    return model.eval()


def held(cache: Any) -> int:
    """Bytes of the storages of all keys and values, each counted once."""
    storages = [tensor.untyped_storage() for tensor in [*cache.key_cache, *cache.value_cache]]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def main() -> None:
    """Serve requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("draft", type=Path)
    parser.add_argument("--checkout", type=Path, required=True, help="the authors' repository")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    options = parser.parse_args()
    sys.path.insert(0, str(options.checkout))
    # Libraries print to standard output as they please; answers go to a copy of it.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = Furiosa(options.gguf, options.draft, options.dtype)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(peer, request.pop("call"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
