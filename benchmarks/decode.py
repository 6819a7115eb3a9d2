"""Prefill and decode rates of one model: this package, transformers and llama.cpp in turn.

    python benchmarks/decode.py smollm2 --lengths 1024 4096 [--log]

Needs the bench extra. The systems stay loaded in processes of their own and take turns, so
that all see the machine in the same states; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
from typing import Any

from peers import Peer
from prose import prose
from report import medians, publish

NEW = 32
COLUMNS = [
    "model", "prompt", "system", "prefill tok/s", "× llama.cpp", "decode tok/s",
    "decode × llama.cpp", "8 samples tok/s", "8 samples × one",
]  # fmt: skip


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], help="systems to leave out")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    rows = measure(options.model, options.lengths, options.rounds, options.without)
    publish(f"decode and prefill, {options.model}", COLUMNS, rows, options.log)


def measure(
    model: str, lengths: list[int], rounds: int, without: list[str]
) -> list[dict[str, Any]]:
    """Rows of the table."""
    from forethought.models.load import gguf_of, load

    tokens = load(model).tokenizer.encode(prose())
    gguf = str(gguf_of(model))
    peers = {
        "ours": ("ours", model),
        "transformers": ("transformers", gguf),
        "llama.cpp": ("llama.cpp", gguf, str(max(lengths) + NEW + 8)),
    }
    running = {name: Peer(*how) for name, how in peers.items() if name not in without}
    rows = [row for length in lengths for row in _rows(running, model, tokens[:length], rounds)]
    for peer in running.values():
        peer.close()
    return rows


def _rows(
    running: dict[str, Peer], model: str, tokens: list[int], rounds: int
) -> list[dict[str, Any]]:
    names = [*running, "ours × 8"]
    prefill: dict[str, list[float]] = {name: [] for name in names}
    decode: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds + 1):  # the first round warms up
        for name in names:
            peer, samples = running[name.split(" ")[0]], 8 if name == "ours × 8" else 1
            answer = peer.ask(call="decode", tokens=tokens, new=NEW, rows=samples)
            prefill[name].append(answer["prefill"])
            decode[name].append(answer["decode"])
    read, written = (medians({n: v[1:] for n, v in what.items()}) for what in (prefill, decode))
    llama = "llama.cpp"
    return [
        {
            "model": model,
            "prompt": len(tokens),
            "system": name,
            "prefill tok/s": len(tokens) / read[name],
            "× llama.cpp": read[llama] / read[name] if llama in read else "",
            "decode tok/s": 1 / written[name],
            "decode × llama.cpp": written[llama] / written[name] if llama in written else "",
            "8 samples tok/s": 8 / written["ours × 8"] if name == "ours" else "",
            "8 samples × one": 8 * written["ours"] / written["ours × 8"] if name == "ours" else "",
        }
        for name in running
    ]


if __name__ == "__main__":
    main()
