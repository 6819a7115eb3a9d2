"""A GPU beside the CPU and beside the roofline of its memory: `scripts/gpu` runs it.

    python benchmarks/gpu.py [--device cuda] [--model NAME] [--seconds 200]

Without a model the weights are random, with the shapes of `qwen-coder-1.5b` (on a CPU: of a tiny
decoder), so that nothing is downloaded. The tables go to standard output and, after each part, to
`gpu.md` in the folder $OUT. The exit code is 1 if the device computes other tokens or logits than
the CPU.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from forethought.engine.batch import Batch
from forethought.engine.cache.sequence_cache import SequenceCache
from forethought.engine.meter import Meter
from forethought.engine.scheduler import Scheduler
from forethought.engine.sequence import Sequence, SequenceStart
from forethought.engine.static_step import VARIABLE, static_steps
from forethought.models.decoder.decoder import Decoder
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
from random_models import SIZES, made, named, network_of
from report import table

PEAKS = {
    "B200": 8.0, "H200": 4.8, "H100 PCIe": 2.0, "H100": 3.35, "A100-SXM4-40GB": 1.56,
    "A100-PCIE-40GB": 1.56, "A100": 2.04, "L40S": 0.864, "L4": 0.3, "A10": 0.6, "T4": 0.32,
    "RTX 4090": 1.008, "RTX 3090": 0.936,
}  # fmt: skip
"""TB/s that the makers state, by part of the device's name; the first that fits counts."""
ROWS, PROMPT, NEW, LONG = (1, 8, 32), 512, 128, 4096
TOLERANCE = 0.06
QUESTION = "A shop sells pens at 3 for 2 dollars. Ada pays with a 50 dollar note. Her change?"


class Report:
    """Tables in the order of their parts; kept in a file after each."""

    def __init__(self, title: str) -> None:
        self.text = f"## {title}\n"
        self.failed = False
        folder = os.environ.get("OUT")
        self._file = Path(folder) / "gpu.md" if folder else None

    def add(self, title: str, rows: list[dict[str, Any]]) -> None:
        part = f"\n### {title}\n{table(list(rows[0]), rows)}\n"
        print(part, flush=True)
        self.text += part
        if self._file is not None:
            self._file.write_text(self.text, "utf-8")


def main() -> None:
    """Run the parts until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--model", help="a model by name, in the place of random weights")
    parser.add_argument("--seconds", type=float, default=200, help="no part begins after these")
    options = parser.parse_args()
    start, device = time.perf_counter(), torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    report = Report(f"{name}, torch {torch.__version__}, Python {sys.version.split()[0]}")
    parity(report, device)
    model = named(options.model, device) if options.model else made(device)
    peak, source = bandwidth(name, device)
    parts: list[Callable[[], None]] = [
        lambda: decode(report, model, peak, source),
        lambda: prefill(report, model),
        lambda: search(report, model),
        lambda: peer(report, model, peak),
    ]
    for part in parts:
        if time.perf_counter() - start < options.seconds:
            part()
        else:
            print("the time is up: parts are missing")
    print(f"{time.perf_counter() - start:.0f} s in all")
    sys.exit(report.failed)


def bandwidth(name: str, device: torch.device) -> tuple[float, str]:
    """TB/s of the memory, and whether that is stated or measured."""
    for part, stated in PEAKS.items():
        if part in name:
            return stated, "stated"
    source = torch.ones(1 << (28 if device.type == "cuda" else 25), device=device)
    target = torch.empty_like(source)
    seconds = min(timed(lambda: target.copy_(source), device) for _ in range(5))
    return 2 * source.nbytes / seconds / 1e12, "measured"


def timed(act: Callable[[], Any], device: torch.device) -> float:
    """Seconds that an act takes on the device."""
    wait(device)
    start = time.perf_counter()
    act()
    wait(device)
    return time.perf_counter() - start


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def parity(report: Report, device: torch.device) -> None:
    """The device's tokens and logits beside the CPU's."""
    rows, sizes = [], SIZES["tiny"] | {"hidden_size": 256, "num_attention_heads": 8}
    kind = "graph" if device.type == "cuda" else "static"
    for dtype in (torch.float32, torch.bfloat16):
        tokens, logits, note = [], [], ""
        for place, asked in ((torch.device("cpu"), "plain"), (device, kind)):
            os.environ[VARIABLE] = asked
            network = network_of(sizes, place, dtype)
            sequences = [behind(network, length, 24) for length in (20, 3, 300)]
            first = [event.logits for event in run(sequences)[:6]]
            logits.append(torch.stack([each.cpu() for each in first if each is not None]))
            tokens.append([one.tokens for one in sequences])
            note = steps_note(network)
        os.environ.pop(VARIABLE)
        off = float((logits[0] - logits[1]).abs().max() / logits[0].abs().max())
        equal = tokens[0] == tokens[1]
        sound = equal and off < 1e-4 if dtype == torch.float32 else off < TOLERANCE
        report.failed |= not sound
        rows.append(
            {
                "dtype": str(dtype).removeprefix("torch."),
                "greedy tokens": "equal" if equal else "differ",
                "first logits off": off,
                "steps": note,
                "as on the CPU": "yes" if sound else "NO",
            }
        )
    report.add(f"Parity: plain steps of the CPU, and {device.type}", rows)


def steps_note(network: Decoder) -> str:
    """The kind of decode steps that a network took, and why they are plain."""
    steps = static_steps(network)
    if steps is None:
        return "plain"
    if steps.ended:
        return f"plain: {steps.ended[:120]}"
    return "graph" if network.device.type == "cuda" else "static"


def behind(network: Decoder, length: int, new: int) -> Sequence:
    """A sequence behind a random prompt that is prefilled."""
    (one,) = samples(network, length, new, 1)
    return one


def samples(network: Decoder, length: int, new: int, rows: int) -> list[Sequence]:
    """Sequences that share a random prompt, and decode `new` tokens each."""
    generator = torch.Generator().manual_seed(length)
    tokens = torch.randint(0, network.shape.vocabulary, (length,), generator=generator).tolist()
    batch, cache = (
        Batch(network, Meter(time.perf_counter)),
        SequenceCache(len(network.shape.layers)),
    )
    with torch.inference_mode():
        logits = batch.prefill(cache, tokens)
    caches = [cache, *(cache.fork() for _ in range(rows - 1))]
    starts = [SequenceStart(own, logits) for own in caches]
    return [
        Sequence(network, batch.meter, lambda start=start: start, stream=n, max_tokens=new)
        for n, start in enumerate(starts)
    ]


def run(sequences: list[Sequence]) -> list[Any]:
    """All events of these sequences."""
    scheduler, events = Scheduler(), []
    for one in sequences:
        scheduler.add(one)
    while not scheduler.idle:
        events += scheduler.step()
    return events


def decode_seconds(network: Decoder, rows: int) -> float:
    """Median seconds of a decode step, the first ones left out."""
    device, scheduler, seconds = network.device, Scheduler(), []
    for one in samples(network, PROMPT, NEW, rows):
        scheduler.add(one)
    while not scheduler.idle:
        seconds.append(timed(scheduler.step, device))
    return statistics.median(seconds[len(seconds) // 4 :])


def decode(report: Report, model: Model, peak: float, source: str) -> None:
    """Decode steps of each kind beside the time that the memory needs."""
    found, network = [], model.network
    kinds = ("graph" if network.device.type == "cuda" else "static", "plain")
    for rows in ROWS:
        base = 0.0
        for kind in reversed(kinds):
            os.environ[VARIABLE] = kind
            own = copy.copy(network)
            seconds = decode_seconds(own, rows)
            base = base or seconds
            found.append(
                {
                    "rows": rows,
                    "asked for": kind,
                    "steps": steps_note(own),
                    "ms a step": 1e3 * seconds,
                    "tok/s": rows / seconds,
                    "× plain": base / seconds,
                    "share of the roofline": f"{step_bytes(own, rows) / peak / 1e12 / seconds:.1%}",
                }
            )
    os.environ.pop(VARIABLE)
    memory = f"memory of {peak:.3g} TB/s ({source})"
    report.add(f"Decode: {model.name}, {PROMPT} tokens before, {memory}", found)


def step_bytes(network: Decoder, rows: int) -> float:
    """Bytes that a step has to read: weights, the shared prompt once, each row's own entries."""
    entry = sum(2 * one.kv_heads * one.head_dim for one in network.shape.layers)
    entries = PROMPT + rows * NEW / 2
    return network.weight_bytes("decode", None, rows) + entries * entry * network.dtype.itemsize


def prefill(report: Report, model: Model) -> None:
    """Prefill rates, and the FLOPs that they come to."""
    found, network = [], model.network
    for length in (PROMPT, LONG):
        meter = Meter(time.perf_counter)
        tokens = [n % network.shape.vocabulary for n in range(length)]

        def act(meter: Meter = meter, tokens: list[int] = tokens) -> None:
            with torch.inference_mode():
                cache = SequenceCache(len(network.shape.layers), len(tokens))
                Batch(network, meter).prefill(cache, tokens)

        act()
        before = meter.flops
        seconds = timed(act, network.device)
        rate = (meter.flops - before) / seconds / 1e12
        found.append({"tokens": length, "tok/s": length / seconds, "TFLOP/s": rate})
    report.add(f"Prefill: {model.name}", found)


def search(report: Report, model: Model) -> None:
    """A majority vote of eight beside plain answers, and the time to the first token."""
    recipe = Recipe(model=model.name.split(",")[0], temperature=0.7, max_tokens=NEW)
    plain = Session(recipe, (), model, model)
    vote = replace(plain, recipe=replace(recipe, search="majority-vote(n=8)"))
    document = "".join(f"Paragraph {n}: the code of locker {n} is {n * 37}.\n" for n in range(40))
    found = []
    for title, session, text in (
        ("one answer", plain, ""),
        ("majority-vote(n=8)", vote, ""),
        ("one answer behind a document", plain, document),
    ):
        for _ in range(2):
            start = time.perf_counter()
            *_, done = session.stream(QUESTION, text)
            seconds = time.perf_counter() - start
        told = done.data["run"]
        found.append(
            {
                "request": title,
                "prompt": told["kept"]["of"],
                "tokens": told["cost"]["output_tokens"],
                "tok/s": told["cost"]["output_tokens"] / seconds,
                "× one answer": told["cost"]["output_tokens"] / seconds / found[0]["tok/s"]
                if found
                else 1.0,
                "first token ms": 1e3 * told["timing"]["first_token"],
            }
        )
    report.add(f"Requests: {model.name}", found)


def peer(report: Report, model: Model, peak: float) -> None:
    """transformers with random weights of the same shapes: its own cache, no compilation."""
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed: no comparison")
        return
    name = model.name.split(",")[0]
    if name not in SIZES:
        print(f"the shapes of {name} are not listed: no comparison")
        return
    from transformers import AutoModelForCausalLM, Qwen2Config

    network, device = model.network, model.network.device
    with device:
        config = Qwen2Config(**SIZES[name])
        other = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    found = []
    for rows in ROWS:
        ids = torch.randint(0, config.vocab_size, (rows, PROMPT), device=device)
        seconds = [peer_decode(other, ids) for _ in range(2)][-1]
        share = step_bytes(network, rows) / peak / 1e12 / seconds
        found.append(
            {"rows": rows, "ms a step": 1e3 * seconds, "tok/s": rows / seconds,
             "share of the roofline": f"{share:.1%}"}
        )  # fmt: skip
    report.add(f"transformers, {name}, random, {PROMPT} tokens before", found)


@torch.inference_mode()
def peer_decode(model: Any, ids: Tensor) -> float:
    """Seconds of a greedy step."""
    out = model(ids, use_cache=True, logits_to_keep=1)
    seconds = []
    for _ in range(NEW // 2):

        def act() -> None:
            nonlocal out
            best = out.logits[:, -1].argmax(-1, keepdim=True)
            out = model(best, past_key_values=out.past_key_values, use_cache=True)

        seconds.append(timed(act, ids.device))
    return statistics.median(seconds[len(seconds) // 4 :])


if __name__ == "__main__":
    main()
