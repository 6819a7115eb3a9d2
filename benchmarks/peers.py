"""The systems a benchmark compares, each in a process of its own that waits its turn.

A peer answers requests (one JSON line each) on its standard input with one JSON line, so
that a benchmark can alternate between loaded systems on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

THREADS = int(os.environ.get("BENCH_THREADS", os.cpu_count() or 1))


class Peer:
    """A running peer, as the benchmark sees it."""

    def __init__(self, kind: str, *arguments: str, **environment: str) -> None:
        self.kind = kind
        command = [sys.executable, __file__, kind, *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), **environment}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.begin(**request)
        return self.finish()

    def begin(self, **request: Any) -> None:
        """Send a request; `finish` waits for its answer."""
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)

    def finish(self) -> dict[str, Any]:
        """Wait for the answer to the request that was begun."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.kind} died; its error stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Ours:
    """This package: exact runs and methods, by recipe."""

    def __init__(self, model: str) -> None:
        from forethought.models.hardware.native_settings import settle

        settle(os.environ)  # as the command line does, before torch starts
        import torch

        from forethought.recipes.recipe import Recipe
        from forethought.sessions.session import Session

        torch.set_num_threads(THREADS)
        self._recipe, self._session, self._sessions = Recipe, Session, {}
        self.model = model

    def open(self, recipe: str) -> Any:
        from dataclasses import replace

        if recipe not in self._sessions:
            parsed = replace(self._recipe.parse(recipe), max_tokens=1)
            self._sessions[recipe] = self._session.open(parsed)
        return self._sessions[recipe]

    def first_token(self, recipe: str, question: str, document: str) -> dict[str, Any]:
        *_, done = self.open(recipe).stream(question, document)
        run = done.data["run"]
        return {
            "seconds": run["timing"]["first_token"],
            "stages": run["timing"]["stages"],
            "prompt_tokens": run["kept"]["of"],
            "read_tokens": run["cost"]["prompt_tokens"],
            "cache_bytes": run["kept"]["cache_bytes"],
            "exact_cache_bytes": run["exact"]["cache_bytes"],
        }

    def decode(self, tokens: list[int], new: int, rows: int) -> dict[str, Any]:
        import torch

        from forethought.engine.batch import Batch
        from forethought.engine.cache.sequence_cache import SequenceCache
        from forethought.engine.meter import Meter
        from forethought.engine.sampling import SamplingParams
        from forethought.engine.scheduler import Scheduler
        from forethought.engine.sequence import Sequence, SequenceStart

        network = self.open(self.model).target.network
        batch = Batch(network, Meter(time.perf_counter))
        row = SequenceCache(len(network.shape.layers), len(tokens) + 64)
        start = time.perf_counter()
        with torch.inference_mode():
            logits = batch.prefill(row, tokens)
            _wait()
            prefill = time.perf_counter() - start
            own = [row, *(row.fork() for _ in range(rows - 1))]
            sampling = SamplingParams(temperature=0.0 if rows == 1 else 1.0)
            scheduler = Scheduler()
            for stream, cache in enumerate(own):
                begun = SequenceStart(cache, logits)
                scheduler.add(
                    Sequence(
                        network,
                        batch.meter,
                        lambda begun=begun: begun,
                        sampling=sampling,
                        stream=stream,
                        max_tokens=new,
                    )
                )
            start = time.perf_counter()
            while not scheduler.idle:
                scheduler.step()
            _wait()
        # The first token of each row comes from the prefill: new - 1 steps were taken.
        return {"prefill": prefill, "decode": (time.perf_counter() - start) / (new - 1)}

    def rates(self, tokens: list[int], seconds: float) -> dict[str, Any]:
        """Tokens per second, read and written, each for about so many seconds."""
        from forethought.engine.batch import Batch
        from forethought.engine.cache.sequence_cache import SequenceCache
        from forethought.engine.meter import Meter

        network = self.open(self.model).target.network
        batch, counts, times = Batch(network, Meter(time.perf_counter)), [0, 0], [0.0, 0.0]
        while min(times) < seconds:
            row = SequenceCache(len(network.shape.layers), len(tokens) + 64)
            start = time.perf_counter()
            batch.prefill(row, tokens)
            times[0] += time.perf_counter() - start
            counts[0] += len(tokens)
            start = time.perf_counter()
            while time.perf_counter() - start < seconds / 4:
                batch.step([row], [tokens[counts[1] % len(tokens)]])
                counts[1] += 1
            times[1] += time.perf_counter() - start
        return {"prefill": counts[0] / times[0], "decode": counts[1] / times[1]}


def _wait() -> None:
    """Until a GPU has done what it was given, where there is one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Transformers:
    """transformers, bf16: eager attention on a CPU, torch's fused kernels on a GPU."""

    def __init__(self, gguf: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, GgufConfig

        torch.set_num_threads(THREADS)
        path = Path(gguf)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForCausalLM.from_pretrained(
            path.parent,
            gguf_file=path.name,
            dtype=torch.bfloat16,
            attn_implementation="eager" if self._device == "cpu" else "sdpa",
            quantization_config=GgufConfig(dequantize=True),
        )
        self._model = model.to(self._device).eval()

    def decode(self, tokens: list[int], new: int, rows: int) -> dict[str, Any]:
        import torch

        with torch.inference_mode():
            start = time.perf_counter()
            ids = torch.tensor([tokens], device=self._device)
            out = self._model(ids, use_cache=True, logits_to_keep=1)
            _wait()
            prefill = time.perf_counter() - start
            start = time.perf_counter()
            for _ in range(new - 1):
                best = out.logits[:, -1].argmax(-1, keepdim=True)
                out = self._model(best, past_key_values=out.past_key_values, use_cache=True)
            _wait()
        return {"prefill": prefill, "decode": (time.perf_counter() - start) / max(1, new - 1)}


class LlamaCpp:
    """llama.cpp through llama-cpp-python, built for this machine."""

    def __init__(self, gguf: str, context: str) -> None:
        from llama_cpp import Llama

        self._model = Llama(
            gguf,
            n_ctx=int(context),
            n_threads=THREADS,
            n_threads_batch=THREADS,
            n_batch=512,
            verbose=False,
        )

    def decode(self, tokens: list[int], new: int, rows: int) -> dict[str, Any]:
        self._model.reset()
        start = time.perf_counter()
        self._model.eval(tokens)
        token = self._model.sample(temp=0.0)
        prefill = time.perf_counter() - start
        start = time.perf_counter()
        for _ in range(new - 1):
            self._model.eval([token])
            token = self._model.sample(temp=0.0)
        return {"prefill": prefill, "decode": (time.perf_counter() - start) / max(1, new - 1)}


class LlamaDrafts:
    """Drafted answers of llama-cpp-python: its prompt lookup, and a draft model by its interface.

    The package has no class that drafts with a model: `_model_draft` is the least one.
    """

    def __init__(self, gguf: str, context: str, draft: str = "") -> None:
        from llama_cpp import Llama
        from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

        settings = {"n_ctx": int(context), "n_threads": THREADS, "n_threads_batch": THREADS}
        self._model = Llama(gguf, logits_all=True, verbose=False, **settings)
        self._drafts = {"": None, "lookup": LlamaPromptLookupDecoding()}
        if draft:
            self._drafts["model"] = _model_draft(Llama(draft, verbose=False, **settings))

    def write(self, tokens: list[int], new: int, draft: str) -> dict[str, Any]:
        """Decode greedily up to `new` tokens; seconds a token behind the first one."""
        model = self._model
        model.reset()
        model.draft_model = self._drafts[draft]
        end, found, start = model.token_eos(), list[int](), 0.0
        for token in model.generate(tokens, temp=0.0):
            found.append(token)
            start = start or time.perf_counter()
            if token == end or len(found) == new:
                break
        seconds = time.perf_counter() - start
        return {"tokens": found, "decode": seconds / max(1, len(found) - 1)}


def _model_draft(model: Any, most: int = 8) -> Any:
    """A draft of llama-cpp-python that decodes up to `most` tokens greedily with another model."""
    import numpy as np

    def draft(ids: Any, /, **_: Any) -> Any:
        tokens = [int(one) for one in ids]
        held = model._input_ids[: model.n_tokens].tolist()
        pairs = enumerate(zip(held, tokens, strict=False))
        same = next((i for i, (a, b) in pairs if a != b), None)
        kept = min(len(held) if same is None else same, len(tokens) - 1)
        model.n_tokens = kept
        model._ctx.kv_cache_seq_rm(-1, kept, -1)
        model.eval(tokens[kept:])
        found = [model.sample(temp=0.0)]
        while len(found) < most and found[-1] != model.token_eos():
            model.eval(found[-1:])
            found.append(model.sample(temp=0.0))
        return np.array(found, dtype=np.intc)

    return draft


KINDS = {
    "ours": Ours,
    "transformers": Transformers,
    "llama.cpp": LlamaCpp,
    "llama.cpp drafts": LlamaDrafts,
}


def main() -> None:
    """Serve requests until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    # Libraries print to standard output as they please; answers go to a copy of it.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = KINDS[options.kind](*options.arguments)
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(peer, request.pop("call"))(**request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
