"""Seconds to the first token of a long prompt: exact, methods, transformers and llama.cpp.

    python benchmarks/first_token.py qwen-coder-1.5b --tokens 6000 \\
        --recipes "+draft(qwen-coder-0.5b)+specpc-shallow(keep=1024)" \\
        "+draft(smollm2)+specpc-shallow(keep=1024)"

Recipes are continuations of the model's name; the exact run is always there. The systems
take turns; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
from typing import Any

from peers import Peer
from prose import hidden, needle, passage, prose
from report import medians, publish

COLUMNS = [
    "recipe", "prompt", "read", "first token s", "× exact", "× llama.cpp", "cache MiB",
    "cache × exact", "stages",
]  # fmt: skip


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=6000)
    parser.add_argument("--recipes", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], help="systems to leave out")
    parser.add_argument("--text", help="a file to take the prompt from")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    rows = measure(options)
    title = f"first token, {options.model}, {options.tokens:,} tokens"
    publish(title, COLUMNS, rows, options.log)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the table."""
    from forethought.models.chat.prompt import chat_prompt
    from forethought.models.load import gguf_of, load

    model = load(options.model)
    sentence, question, _ = needle(0)
    text = passage(prose(options.text), options.tokens * 6, seed=0)
    budget = options.tokens
    document = model.tokenizer.decode(model.tokenizer.encode(text)[:budget])
    document = hidden(document, sentence, 0.5)
    tokens = list(chat_prompt(model.tokenizer, model.template, question, document).tokens)
    gguf = str(gguf_of(options.model))
    ours = [options.model, *(options.model + recipe for recipe in options.recipes)]
    kinds = {
        "transformers": ("transformers", gguf),
        "llama.cpp": ("llama.cpp", gguf, str(len(tokens) + 8)),
    }
    running = {kind: Peer(*how) for kind, how in kinds.items() if kind not in options.without}
    running["ours"] = Peer("ours", options.model)
    seconds: dict[str, list[float]] = {name: [] for name in (*ours, *running) if name != "ours"}
    last: dict[str, dict[str, Any]] = {}
    for turn in range(options.rounds + 1):
        # The first turn warms up, on a short prompt.
        part = slice(None) if turn else slice(0, 4096)
        for name in seconds:
            if name in running:
                answer = running[name].ask(call="decode", tokens=tokens[part], new=1, rows=1)
                seconds[name].append(answer["prefill"])
                continue
            answer = running["ours"].ask(
                call="first_token", recipe=name, question=question, document=document[part]
            )
            seconds[name].append(answer["seconds"])
            last[name] = answer
    for peer in running.values():
        peer.close()
    return _rows(options.model, medians({n: v[1:] for n, v in seconds.items()}), last, len(tokens))


def _rows(
    exact: str, found: dict[str, float], last: dict[str, dict[str, Any]], length: int
) -> list[dict[str, Any]]:
    llama = found.get("llama.cpp")
    rows = []
    for name, seconds in found.items():
        answer = last.get(name, {})
        cache = answer.get("cache_bytes")
        rows.append(
            {
                "recipe": name,
                "prompt": length,
                "read": answer.get("read_tokens", length),
                "first token s": seconds,
                "× exact": found[exact] / seconds,
                "× llama.cpp": llama / seconds if llama else "",
                "cache MiB": cache / 2**20 if cache else "",
                "cache × exact": answer["exact_cache_bytes"] / cache if cache else "",
                "stages": " ".join(f"{k} {v:.2f}" for k, v in answer.get("stages", {}).items()),
            }
        )
    return rows


if __name__ == "__main__":
    main()
