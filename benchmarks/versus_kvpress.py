"""Methods of this package beside kvpress, and beside the authors' own SpecKV and SpecPC.

    python benchmarks/versus_kvpress.py qwen-coder-1.5b --kvpress-python VENV/bin/python \\
        --tasks "niah-single-1(tokens=4000)" --keep 512 \\
        --recipes "" "+snapkv(keep={keep})" --presses none snapkv

All see the same token ids, weights of the same GGUF file, greedy choice and budgets; questions
take turns through all systems, which run in processes of their own, one at a time.
With --furiosa-python, --furiosa-checkout and --furiosa the authors' code takes part too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from forethought import catalogue
from forethought.contracts.questions import Measure, Question
from forethought.models.chat.prompt import chat_prompt
from forethought.models.load import gguf_of, load
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.session import Session
from peers import THREADS, Peer
from prose import hidden, needle, passage, prose
from report import publish

COLUMNS = ["task", "system", "setting", "keep", "mean score", "questions", "like exact",
           "first token s", "decode s/token", "cache MiB"]  # fmt: skip
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Asked:
    """A question of a task, as every system sees it."""

    question: Question
    tokens: tuple[int, ...]
    keep: int
    max_new: int


@dataclass(frozen=True)
class System:
    """Something that answers, and how it is named in the table."""

    name: str
    setting: str
    answer: Callable[[Asked], dict[str, Any]]
    """text, first_token, per_token and cache_bytes."""


@dataclass(frozen=True)
class NeedlesInProse:
    """Numbers hidden in licences, for a trial without any task of the catalogue."""

    tokens: int = 600
    count: int = 2
    answer_tokens: int = 24

    def questions(self, measure: Measure) -> Iterator[Question]:
        """One needle each, in the middle."""
        for seed in range(self.count):
            sentence, question, answer = needle(seed)
            text = passage(prose(), self.tokens * 4, seed)
            yield Question(str(seed), question, hidden(text, sentence, 0.5), (answer,))

    def check(self, question: Question, answer: str) -> float:
        """Whether the number stands in the answer."""
        return float(question.answers[0] in answer)


class Foreign(Peer):
    """A peer that runs in an environment of its own."""

    def __init__(self, kind: str, python: str, *command: str) -> None:
        self.kind = kind
        self._process = subprocess.Popen(
            [python, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(THREADS)},
        )


@dataclass
class Ours:
    """This package: models loaded once, asked by recipe."""

    options: argparse.Namespace
    models: dict[str, Model] = field(default_factory=dict)

    def model(self, name: str) -> Model:
        """A model by its name."""
        if name not in self.models:
            self.models[name] = load(name, weights=self.options.weights)
        return self.models[name]

    def system(self, spelling: str) -> System:
        """The recipe that continues the model's name, checked before anything is asked."""
        Recipe.parse(self.options.model + spelling.format(keep=self.options.keep[0]))
        return System(
            "forethought", spelling[1:] or "exact", lambda asked: self._run(spelling, asked)
        )

    def _run(self, spelling: str, asked: Asked) -> dict[str, Any]:
        text = self.options.model + spelling.format(keep=asked.keep)
        recipe = replace(Recipe.parse(text), max_tokens=asked.max_new, weights=self.options.weights)
        methods = tuple((name, catalogue.build(name)) for name in recipe.approximate)
        target = self.model(recipe.model)
        draft = target if recipe.draft == "self" else self.model(recipe.draft)
        session = Session(recipe, methods, target, draft)
        *_, done = session.stream(asked.question.text, asked.question.document)
        run = done.data["run"]
        return {
            "text": run["answer"],
            "first_token": run["timing"]["first_token"],
            "per_token": run["timing"]["per_token"] or None,
            "cache_bytes": run["kept"]["cache_bytes"],
        }


def main() -> None:
    """Measure and publish."""
    options = parsed()
    import torch

    torch.set_num_threads(THREADS)
    ours = Ours(options)
    target = ours.model(options.model)
    peers, foreign = opened(options, target)
    systems = [*map(ours.system, options.recipes), *foreign]
    rows = []
    for spelling, task in tasks(options).items():
        for keep in options.keep:
            asked = list(prompts(task, target, keep, options))
            rows += measured(spelling, task, asked, systems)
    for peer in peers:
        peer.close()
    title = f"beside kvpress, {options.model}, {THREADS} threads, {options.weights} weights here, "
    title += f"{options.dtype} there"
    publish(title, COLUMNS, rows, options.log)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--draft", default="qwen-coder-0.5b", help="the draft of --furiosa")
    parser.add_argument("--kvpress-python", help="the interpreter of kvpress's environment")
    parser.add_argument("--presses", nargs="*", default=["none", "snapkv"])
    parser.add_argument("--furiosa-python", help="the interpreter of the authors' environment")
    parser.add_argument("--furiosa-checkout", help="a checkout of the authors' repository")
    parser.add_argument("--furiosa", nargs="*", default=["speckv"], help="speckv, specpc")
    parser.add_argument("--recipes", nargs="+", default=["", "+snapkv(keep={keep})"])
    parser.add_argument("--tasks", nargs="*", default=[], help="needles in prose if left out")
    parser.add_argument("--questions", type=int, default=10, help="most of each task")
    parser.add_argument("--keep", type=int, nargs="+", default=[512])
    parser.add_argument("--weights", default="auto", help="of this package: auto, bf16, int4 ...")
    parser.add_argument("--dtype", default="bfloat16", help="of the others: bfloat16, float32")
    parser.add_argument("--log", action="store_true", help="append the table to docs/lab-log.md")
    return parser.parse_args()


def opened(options: argparse.Namespace, target: Model) -> tuple[list[Peer], list[System]]:
    """The processes of the others, and the systems they are."""
    peers: list[Peer] = []
    systems: list[System] = []
    gguf = str(gguf_of(options.model))
    if options.kvpress_python:
        script = [str(HERE / "kvpress_peer.py"), gguf, "--tokenizer", str(target.folder)]
        peer = Foreign("kvpress", options.kvpress_python, *script, "--dtype", options.dtype)
        peers.append(peer)
        systems += [foreign(peer, "press", name, target) for name in options.presses]
    if options.furiosa_python:
        script = [str(HERE / "furiosa_peer.py"), gguf, str(gguf_of(options.draft))]
        script += ["--checkout", options.furiosa_checkout, "--dtype", options.dtype]
        peer = Foreign("authors", options.furiosa_python, *script)
        peers.append(peer)
        systems += [foreign(peer, "method", name, target) for name in options.furiosa]
    return peers, systems


def foreign(peer: Peer, kind: str, name: str, target: Model) -> System:
    """One setting of a peer."""
    ends = sorted(target.tokenizer.ends)

    def answer(asked: Asked) -> dict[str, Any]:
        request = {"tokens": asked.tokens, kind: name, "keep": asked.keep, "ends": ends}
        found = peer.ask(call="answer", max_new=asked.max_new, **request)
        return {**found, "text": target.tokenizer.decode(found["tokens"])}

    versions = peer.ask(call="versions")
    own = versions.get(peer.kind, "")
    return System(f"{peer.kind} {own}".strip(), name, answer)


def tasks(options: argparse.Namespace) -> dict[str, Any]:
    """The tasks by spelling."""
    found: dict[str, Any] = {}
    for text in options.tasks:
        found.update(catalogue.expand(text))
    return found or {"needles in prose": NeedlesInProse(count=options.questions)}


def prompts(task: Any, target: Model, keep: int, options: argparse.Namespace) -> Iterator[Asked]:
    """The first questions of a task as token ids."""
    tokenizer = target.tokenizer
    questions = task.questions(lambda text: len(tokenizer.encode(text)))
    for question, _ in zip(questions, range(options.questions), strict=False):
        prompt = chat_prompt(tokenizer, target.template, question.text, question.document)
        yield Asked(question, prompt.tokens, keep, task.answer_tokens)


def measured(
    spelling: str, task: Any, asked: list[Asked], systems: list[System]
) -> list[dict[str, Any]]:
    """A row for each system; the first system's answers are what the others' are compared to."""
    answers: list[list[dict[str, Any]]] = [[] for _ in systems]
    for one in asked:
        for system, own in zip(systems, answers, strict=True):
            own.append(found := system.answer(one))
            found["score"] = task.check(one.question, found["text"])
            print(system.name, system.setting, one.question.identifier, found["score"],
                  repr(found["text"][:60]), flush=True)  # fmt: skip
    exact = [found["text"] for found in answers[0]]
    return [
        {
            "task": spelling,
            "system": system.name,
            "setting": system.setting.format(keep=asked[0].keep),
            "keep": asked[0].keep,
            "mean score": statistics.mean(found["score"] for found in own),
            "questions": len(own),
            "like exact": sum(map(str.__eq__, exact, (found["text"] for found in own))),
            "first token s": typical(found["first_token"] for found in own),
            "decode s/token": typical(found["per_token"] for found in own),
            "cache MiB": typical(found["cache_bytes"] / 2**20 for found in own),
        }
        for system, own in zip(systems, answers, strict=True)
    ]


def typical(figures: Iterable[float | None]) -> float | str:
    """The median of those there are."""
    known = [figure for figure in figures if figure is not None]
    return statistics.median(known) if known else ""


if __name__ == "__main__":
    main()
