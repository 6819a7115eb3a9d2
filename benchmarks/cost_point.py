"""One point of `cost_curves.py`, in a process of its own: the costs of a recipe at one length.

    python benchmarks/cost_point.py '{"recipe": "smollm2+snapkv", "tokens": 2048, "rounds": 1}'

The peak is that of this process after the models are loaded and warm (on a GPU, that of torch's
allocations); it is null on systems that cannot reset it. `loaded_bytes` is the memory before.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from prose import passage, prose

RESERVE = 128
"""Tokens of the context that a look-ahead and the answer may take."""
WARM_UP = 2048
"""Context of the warm-up: longer than usual budgets, so that a draft runs in it."""
QUESTION = "Summarise this text in one paragraph."
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main() -> None:
    """Print the point as one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("point", type=json.loads)
    parser.add_argument("--text", help="a file to take the prompts from")
    options = parser.parse_args()
    from forethought.models.hardware.native_settings import settle

    settle(os.environ)  # as the command line does, before torch starts
    print(json.dumps(measure(options.point, prose(options.text))))


def measure(point: dict[str, Any], text: str) -> dict[str, Any]:
    """The costs of a point, or the reason why a model cannot take its prompt."""
    from forethought.contracts.errors import UnfitError
    from forethought.recipes.recipe import Recipe
    from forethought.sessions.session import Session

    recipe = Recipe.parse(point["recipe"])
    session = Session.open(replace(recipe, max_tokens=1))
    try:
        return costs(session, point["tokens"], point["rounds"], text)
    except UnfitError as error:
        return {"skipped": str(error)}


def costs(session: Any, tokens: int, rounds: int, text: str) -> dict[str, Any]:
    """Medians over prompts of the same length; the peak is that of all."""
    prompts = [document(session.target, tokens, text, seed) for seed in range(rounds)]
    warm = document(session.target, min(tokens, WARM_UP), text, rounds)
    ask(session, warm)
    memory = Memory(session.target.network.device.type)
    runs = [ask(session, prompt) for prompt in prompts]
    peak = memory.peak()
    found = [one(run) for run in runs]
    return {
        **{name: statistics.median(each[name] for each in found) for name in found[0]},
        "loaded_bytes": memory.loaded,
        "peak_bytes": peak,
        "stages": {name: round(spent, 4) for name, spent in runs[-1]["timing"]["stages"].items()},
        "notes": runs[-1]["notes"],
        "weights": session.recipe.weights,
        "device": memory.device,
    }


def document(model: Any, tokens: int, text: str, seed: int) -> str:
    """A document whose prompt leaves the reserve of a context of so many tokens."""
    from forethought.models.chat.prompt import chat_prompt

    around = len(chat_prompt(model.tokenizer, model.template, QUESTION, "x")) - 1
    room = tokens - RESERVE - around
    if room < 1:
        raise SystemExit(f"--tokens {tokens}: the template, the question and the reserve take more")
    characters = tokens * 8
    long = "\n\n".join([text] * (characters // len(text) + 1))
    return model.tokenizer.decode(model.tokenizer.encode(passage(long, characters, seed))[:room])


def ask(session: Any, prompt: str) -> dict[str, Any]:
    """The record of one run."""
    *_, done = session.stream(QUESTION, prompt)
    run: dict[str, Any] = done.data["run"]
    return run


def one(run: dict[str, Any]) -> dict[str, Any]:
    """The costs of one run."""
    cost, kept = run["cost"], run["kept"]
    return {
        "prompt": kept["of"],
        "prefilled": cost["prompt_tokens"],
        "draft_tokens": cost["draft_tokens"],
        "seconds": run["timing"]["first_token"],
        "flops": cost["flops"],
        "kv_bytes": kept["cache_bytes"],
        "peak_kv_bytes": cost["peak_cache_bytes"],
    }


class Memory:
    """The memory of this process, or of its device, from now on."""

    def __init__(self, device: str) -> None:
        import torch

        from forethought.models.hardware.memory import trim_memory

        self.device = device
        gc.collect()
        trim_memory()  # blocks that the warm-up freed are no part of the loaded models
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.loaded: int | None = torch.cuda.memory_allocated()
            return
        try:
            CLEAR.write_text("5")  # Linux sets the peak to the present size
            self.loaded = resident("VmRSS")
        except OSError:
            self.loaded = None

    def peak(self) -> int | None:
        """The most bytes since the start; None where the system does not tell."""
        import torch

        if self.device == "cuda":
            return torch.cuda.max_memory_allocated()
        return None if self.loaded is None else resident("VmHWM")


def resident(name: str) -> int:
    """A size of this process in bytes, as Linux reports it."""
    lines = STATUS.read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


if __name__ == "__main__":
    main()
