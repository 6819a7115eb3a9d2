"""Decode rates with drafted answers: tokens a second, beside plain decoding, and equal answers.

    python benchmarks/drafting.py qwen-coder-1.5b prompt-lookup trie-lookahead [--log]
    python benchmarks/drafting.py qwen-coder-1.5b prompt-lookup --weights bf16 --only quote story
    python benchmarks/drafting.py qwen-coder-1.5b draft-lookahead --draft qwen-coder-0.5b
        --beside 'speckv(keep=512)'

The model is loaded once. For each prompt of drafting_prompts.py, plain decoding and the drafters
take turns, so that all see the machine in the same states; figures are medians over the rounds.
Every run has caches and tries of its own, so a drafter knows no earlier answer.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections import defaultdict
from dataclasses import replace
from typing import Any

from drafting_prompts import PROMPTS, Prompt
from peers import Peer
from report import publish

COLUMNS = [
    "prompt", "kind", "recipe", "tokens", "tokens/s", "× plain", "accepted", "tokens a pass",
    "same answer",
]  # fmt: skip
Figures = dict[str, list[float]]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("drafters", nargs="+", help="methods that draft answers")
    parser.add_argument("--draft", default="self", help="the draft model")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--beside", nargs="*", default=[], help="methods of every run, plain too")
    parser.add_argument("--new", type=int, default=160, help="most tokens of an answer")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--llama", action="store_true", help="beside llama-cpp-python, its lookup, and the draft"
    )
    parser.add_argument("--threads", type=int, help="of a decode pass; all where none is given")
    parser.add_argument("--only", nargs="*", help="names of prompts; all where none is named")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    options = parser.parse_args()
    title = f"drafted answers, {options.model}, weights {options.weights}"
    publish(title, COLUMNS, measure(options), options.log)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each prompt and recipe."""
    import torch

    from forethought.recipes.recipe import Recipe
    from forethought.sessions.session import Session, built_methods

    if options.threads:
        torch.set_num_threads(options.threads)
    plain = Recipe(
        model=options.model,
        draft=options.draft,
        approximate=tuple(options.beside),
        weights=options.weights,
        max_tokens=options.new,
    )
    drafted = [(*options.beside, name) for name in options.drafters]
    recipes = [plain, *(replace(plain, approximate=methods) for methods in drafted)]
    first = Session.open(recipes[-1])
    sessions = [replace(first, recipe=one, methods=built_methods(one)) for one in recipes]
    wanted = [one for one in PROMPTS if not options.only or one.name in options.only]
    peer = Llama(first, options) if options.llama else None
    return [row for prompt in wanted for row in rows(prompt, sessions, options.rounds, peer)]


class Llama:
    """llama-cpp-python on the same file and the same prompts, in a process of its own."""

    def __init__(self, session: Any, options: argparse.Namespace) -> None:
        from forethought.models.load import gguf_of

        self._target, self._new = session.target, options.new
        drafts = [] if options.draft == "self" else [str(gguf_of(options.draft))]
        self.names = ["", "lookup", *("model" for _ in drafts)]
        self._peer = Peer("llama.cpp drafts", str(gguf_of(options.model)), "2048", *drafts)

    def rate(self, prompt: Prompt, draft: str) -> float:
        """Tokens a second behind the first one."""
        from forethought.models.chat.prompt import chat_prompt

        model = self._target
        read = chat_prompt(model.tokenizer, model.template, prompt.question, prompt.document)
        tokens = list(read.tokens)
        found = self._peer.ask(call="write", tokens=tokens, new=self._new, draft=draft)
        return 1 / float(found["decode"])


def rows(
    prompt: Prompt, sessions: list[Any], rounds: int, peer: Llama | None
) -> list[dict[str, Any]]:
    """The rows of one prompt; the first session is the plain one."""
    rates: Figures = defaultdict(list)
    last: dict[str, dict[str, Any]] = {}
    for _ in range(rounds):
        for session in sessions:
            *_, done = session.stream(prompt.question, prompt.document)
            run, plain = done.data["run"], session is sessions[0]
            name = "plain" if plain else session.recipe.approximate[-1]
            steps = run["cost"]["output_tokens"] - 1
            rates[name].append(steps / run["timing"]["stages"]["decode"])
            last[name] = run
            print(f"{prompt.name}, {name}: {rates[name][-1]:.1f} tokens/s", file=sys.stderr)
        for draft in peer.names if peer is not None else ():
            name = f"llama.cpp, {draft}" if draft else "llama.cpp"
            rates[name].append(peer.rate(prompt, draft))
            print(f"{prompt.name}, {name}: {rates[name][-1]:.1f} tokens/s", file=sys.stderr)
    return [_row(prompt, name, rates, last) for name in rates]


def _row(
    prompt: Prompt, name: str, rates: Figures, last: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    rate = statistics.median(rates[name])
    ratio = rate / statistics.median(rates["plain"])
    if name not in last:
        shown = {"prompt": prompt.name, "kind": prompt.kind, "recipe": name}
        return dict.fromkeys(COLUMNS, "") | shown | {"tokens/s": rate, "× plain": ratio}
    run = last[name]
    cost = run["cost"]
    verified, accepted = cost.get("verified_tokens", 0), cost.get("accepted_tokens", 0)
    passes = cost.get("decode_passes", 0)
    return {
        "prompt": prompt.name,
        "kind": prompt.kind,
        "recipe": name,
        "tokens": cost["output_tokens"],
        "tokens/s": rate,
        "× plain": ratio,
        "accepted": f"{accepted} of {verified}" if verified else "",
        "tokens a pass": (passes + accepted) / passes if passes else "",
        "same answer": "yes" if run["answer"] == last["plain"]["answer"] else "no",
    }


if __name__ == "__main__":
    main()
