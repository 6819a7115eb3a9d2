"""Net value a question of `spend` and of votes over k answers, on stored answers.

    python -m benchmarks.spend_replay results.sqlite --task gsm8k \
        --recipe "qwen-coder-0.5b@majority-vote(n=64)"
    python -m benchmarks.spend_replay results.sqlite --task niah \
        --recipe "qwen-coder-0.5b@majority-vote(n=4)" \
        --shortened "qwen-coder-0.5b+bm25(keep=0.25)@majority-vote(n=4)"

The answers of a stored vote are drawn again in random orders, without a model. The strategy itself
runs, and sees only the answers that it draws. A run's FLOPs are split over its tokens: a prompt is
paid with its first answer, and every answer by its own tokens. A right answer is worth `--worth`
mean answers behind the whole prompt. No rule sees which answers are right.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from forethought.contracts.records import Cost
from forethought.contracts.search import Candidate, Found, Group, Write, Writer
from forethought.contracts.spending import AnswerPrice, Quote, Quoted, Tell
from forethought.methods.search.spend import Spend
from forethought.numerics.votes import Tally
from forethought.tasks.same_answers import SameAnswers

Orders = Mapping[Writer, Sequence[int]]
"""The order in which the answers of each writer are drawn."""


class Held(NamedTuple):
    """The stored answers of one writer to one question."""

    answers: Sequence[Candidate]
    right: Sequence[float]
    prompt: float
    """FLOPs of the prompt, methods included."""
    token: float
    """FLOPs of a token."""

    @classmethod
    def of(cls, run: Mapping[str, Any], writer: Writer = "target", token: float = 0.0) -> Held:
        """From a run's document; `token` is known for runs whose methods cost FLOPs too."""
        held, cost = run["candidates"], run["cost"]
        token = token or cost["flops"] / (cost["prompt_tokens"] + cost["output_tokens"])
        answers = [
            Candidate((n,), asked="?", steps=(one["text"],), tokens=one["tokens"],
                      log_probability=one["log_probability"], scored_tokens=one["summed"],
                      finish=one["finish"], writer=writer)
            for n, one in enumerate(held)
        ]  # fmt: skip
        right = [float(one["right"]) for one in held]
        return cls(answers, right, cost["flops"] - token * cost["output_tokens"], token)


class Spent(NamedTuple):
    """What a rule reached on one question."""

    score: float
    flops: float
    writers: tuple[Writer, ...]
    """Of its answers, in order."""


@dataclass(frozen=True)
class Stored:
    """The stored answers to one question, by writer; the target is the first."""

    held: Mapping[Writer, Held]

    def paid(self, answers: Sequence[Candidate]) -> float:
        """FLOPs of these answers and of their prompts."""
        prompts = sum(self.held[one].prompt for one in {one.writer for one in answers})
        return prompts + sum(self.held[one.writer].token * one.tokens for one in answers)

    @property
    def each(self) -> float:
        """FLOPs of a mean answer behind the whole prompt."""
        answers = self.held["target"].answers
        return self.paid(answers) / len(answers)

    @cached_property
    def _groups(self) -> Mapping[tuple[Writer, int], int | None]:
        every = [one for held in self.held.values() for one in held.answers]
        found = SameAnswers().group(every)
        return {(a.writer, a.path[0]): group for a, group in zip(every, found, strict=True)}

    def grouped(self, answers: Sequence[Candidate]) -> list[int | None]:
        """Groups by number in order of appearance, as a reader gives them."""
        known: dict[int, int] = {}
        stated = (self._groups[one.writer, one.path[0]] for one in answers)
        return [None if one is None else known.setdefault(one, len(known)) for one in stated]

    def score(self, best: Candidate) -> float:
        """Whether an answer is right."""
        return self.held[best.writer].right[best.path[0]]

    def _quoted(self, parents: Sequence[Candidate], drawn: Sequence[Candidate]) -> Quoted:
        paid = {one.writer for one in drawn}
        prices = []
        for one in parents:
            own = self.held[one.writer]
            once = Cost(flops=0.0 if one.writer in paid else own.prompt)
            prices.append(AnswerPrice(once, Cost(flops=own.token)))
        return Quoted(Cost(flops=self.paid(drawn)), tuple(prices))

    def spent_by(self, rule: Spend, orders: Orders) -> Spent:
        """The strategy, on the answers in this order."""
        drawn, value = list[Candidate](), None
        search = rule.search(Candidate(asked="?"), np.random.default_rng(0))
        try:
            while True:
                match search.send(value):
                    case Quote(parents):
                        value = self._quoted(parents, drawn)
                    case Tell():
                        value = None
                    case Write(parents):
                        value = [self._next(parents[0].writer, drawn, orders)]
                        drawn += value
                    case Group(candidates):
                        value = self.grouped(candidates)
        except StopIteration as stopped:
            found: Found = stopped.value
        given = not found.settlement.abstained and drawn
        score = self.score(found.best) if given else 0.0
        return Spent(score, self.paid(drawn), tuple(one.writer for one in drawn))

    def _next(self, writer: Writer, drawn: Sequence[Candidate], orders: Orders) -> Candidate:
        place = sum(one.writer == writer for one in drawn)
        return self.held[writer].answers[orders[writer][place]]

    def voted(self, writer: Writer, order: Sequence[int], k: int) -> tuple[float, float]:
        """Score and FLOPs of a majority vote over the first k answers; its likeliest answer."""
        drawn = [self.held[writer].answers[place] for place in order[:k]]
        tally = Tally.of(self.grouped(drawn), [1.0] * k)
        own = [one for one, g in zip(drawn, tally.groups, strict=True) if g == tally.winner]
        best = max(own or drawn, key=lambda one: one.likelihood)
        return self.score(best), self.paid(drawn)


@dataclass(frozen=True)
class Replay:
    """Stored questions with random orders of their answers, and what a right answer is worth."""

    stored: Sequence[Stored]
    orders: Sequence[Sequence[Orders]]
    """By question, then by repetition."""
    worth: float
    """In mean answers."""
    unit: float
    """FLOPs of a mean answer."""

    @classmethod
    def of(cls, stored: Sequence[Stored], worth: float, orders: int, seed: int = 0) -> Replay:
        """Draw the orders."""
        rng = np.random.default_rng(seed)
        drawn = [
            [{w: rng.permutation(len(h.answers)).tolist() for w, h in one.held.items()}
             for _ in range(orders)] for one in stored
        ]  # fmt: skip
        return cls(stored, drawn, worth, float(np.mean([one.each for one in stored])))

    @property
    def most(self) -> int:
        """The least number of answers of a writer to a question."""
        return min(len(h.answers) for one in self.stored for h in one.held.values())

    def votes(self, writer: Writer = "target") -> dict[int, np.ndarray]:
        """Net values [questions, orders] by the fixed number of answers."""
        return {
            k: np.array([
                [self._net(*one.voted(writer, order[writer], k)) for order in own]
                for one, own in zip(self.stored, self.orders, strict=True)
            ])
            for k in range(1, self.most + 1)
        }  # fmt: skip

    def rule(self, rule: Spend, *, learns: bool) -> tuple[np.ndarray, list[Spent]]:
        """Net values [questions, orders] of the strategy, and what it did.

        With `learns`, it expects the mean success rates of the other questions.
        """
        nets, told = [], list[Spent]()
        for place, (one, own) in enumerate(zip(self.stored, self.orders, strict=True)):
            rates = self._rates(place) if learns else {}
            rows = [one.spent_by(replace(rule, **rates), order) for order in own]
            nets.append([self._net(row.score, row.flops) for row in rows])
            told += rows
        return np.array(nets), told

    def _rates(self, place: int) -> dict[str, float]:
        others = [*self.stored[:place], *self.stored[place + 1 :]]
        names = {"target": "success", "shortened": "shortened_success"}
        found = {}
        for writer, name in names.items():
            means = [np.mean(one.held[writer].right) for one in others if writer in one.held]
            if means:
                found[name] = round(float(np.clip(np.mean(means), 0.02, 0.98)), 2)
        return found

    def _net(self, score: float, flops: float) -> float:
        return self.worth * score - flops / self.unit


def main() -> None:
    """Print net values by rule, in mean answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--recipe", required=True, help="the start of the recipe's label")
    parser.add_argument("--shortened", default="", help="the same, behind a shortened prompt")
    parser.add_argument("--task", required=True, help="the start of the task's name")
    parser.add_argument("--worth", type=float, default=60.0)
    parser.add_argument("--orders", type=int, default=5)
    given = parser.parse_args()
    stored = read(given.results, given.task, given.recipe, given.shortened)
    replay = Replay.of(stored, given.worth, given.orders)
    print(f"{len(stored)} questions, {replay.most} answers each, {given.orders} orders; a right "
          f"answer is worth {given.worth:g} answers")  # fmt: skip
    best = fixed(replay, "target")
    if given.shortened:
        best = max(best, fixed(replay, "shortened"), key=np.mean)
    for shortened in (False, True) if given.shortened else (False,):
        rule = Spend(value=f"{given.worth * replay.unit:.6g}FLOP", n=replay.most)
        report(replay, replace(rule, shortened=shortened), best)


def fixed(replay: Replay, writer: Writer) -> np.ndarray:
    """Print the votes of one writer; returns the best one's net values."""
    votes = replay.votes(writer)
    for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64):
        if k in votes:
            print(f"{writer}, vote of {k:2}: {votes[k].mean():6.2f}")
    return max(votes.values(), key=np.mean)


def report(replay: Replay, rule: Spend, best: np.ndarray) -> None:
    """Print the rule beside the best fixed vote."""
    ways = "whole and shortened prompt" if rule.shortened else "whole prompt"
    for name, learns in (("broad prior", False), ("mean rates of the other questions", True)):
        nets, told = replay.rule(rule, learns=learns)
        gap = (nets - best).mean(axis=1)
        used = np.mean([len(one.writers) for one in told])
        first = Counter(one.writers[0] if one.writers else "none" for one in told)
        shares = ", ".join(f"{way} {count / len(told):.0%}" for way, count in first.most_common())
        print(f"spend, {ways}, {name}: {nets.mean():6.2f} with {used:.1f} answers, first from "
              f"{shares}; minus the best vote: {gap.mean():+.2f} ± "
              f"{gap.std(ddof=1) / len(gap) ** 0.5:.2f}")  # fmt: skip


def read(path: Path, task: str, recipe: str, shortened: str = "") -> list[Stored]:
    """The stored votes of a results file, opened for reading alone; of both recipes, if named."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as file:
        whole, short = (_runs(file, task, one) if one else {} for one in (recipe, shortened))
    found = []
    for name in whole.keys() & short.keys() if shortened else whole:
        held: dict[Writer, Held] = {"target": Held.of(whole[name])}
        if shortened:
            held["shortened"] = Held.of(short[name], "shortened", held["target"].token)
        found.append((name, Stored(held)))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def _runs(
    file: sqlite3.Connection, task: str, recipe: str
) -> dict[tuple[str, str], dict[str, Any]]:
    """Runs by task and question."""
    rows = file.execute(
        "SELECT task, question, run FROM samples"
        " WHERE substr(recipe, 1, ?) = ? AND substr(task, 1, ?) = ?",
        (len(recipe), recipe, len(task), task),
    )
    return {(name, question): json.loads(run) for name, question, run in rows}


if __name__ == "__main__":
    main()
