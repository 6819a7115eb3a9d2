"""Net value a question of `spend` and of votes over k answers, on stored answers.

    python -m benchmarks.spend_replay results.sqlite --task gsm8k \
        --recipe "qwen-coder-0.5b@majority-vote(n=64)"

The answers of a stored vote are drawn again in random orders, without a model. The strategy itself
runs, and sees only the answers that it draws. A run's FLOPs are split evenly over its tokens: the
prompt is paid with the first answer, and every answer by its own tokens. A right answer is worth
`--worth` mean answers of the store. No rule sees which answers are right.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from forethought.contracts.records import Cost
from forethought.contracts.search import Candidate, Found, Group, Write
from forethought.contracts.spending import AnswerPrice, Quote, Quoted, Tell
from forethought.methods.search.spend import Spend
from forethought.numerics.votes import Tally
from forethought.tasks.same_answers import SameAnswers


@dataclass(frozen=True)
class Stored:
    """The stored answers to one question."""

    answers: Sequence[Candidate]
    groups: Sequence[int | None]
    """The group of equal answers that each belongs to."""
    right: Sequence[float]
    prompt: float
    """FLOPs of the prompt."""
    token: float
    """FLOPs of a token."""

    @classmethod
    def of(cls, run: dict[str, Any]) -> Stored:
        """From a run's document."""
        held, cost = run["candidates"], run["cost"]
        token = cost["flops"] / (cost["prompt_tokens"] + cost["output_tokens"])
        answers = [
            Candidate((n,), asked="?", steps=(one["text"],), tokens=one["tokens"],
                      log_probability=one["log_probability"], scored_tokens=one["summed"],
                      finish=one["finish"])
            for n, one in enumerate(held)
        ]  # fmt: skip
        right = [float(one["right"]) for one in held]
        groups = SameAnswers().group(answers)
        return cls(answers, groups, right, token * cost["prompt_tokens"], token)

    def paid(self, answers: Sequence[Candidate]) -> float:
        """FLOPs of a prompt and these answers."""
        return self.prompt * bool(answers) + self.token * sum(one.tokens for one in answers)

    def grouped(self, answers: Sequence[Candidate]) -> list[int | None]:
        """Groups by number in order of appearance, as a reader gives them."""
        known: dict[int, int] = {}
        stated = (self.groups[one.path[0]] for one in answers)
        return [None if one is None else known.setdefault(one, len(known)) for one in stated]

    def score(self, best: Candidate) -> float:
        """Whether an answer is right."""
        return self.right[best.path[0]]

    def spent_by(self, rule: Spend, order: Sequence[int]) -> tuple[float, float, int]:
        """Score, FLOPs and answers of the strategy, on the answers in this order."""
        search, drawn, value = rule.search(Candidate(asked="?"), np.random.default_rng(0)), [], None
        try:
            while True:
                match search.send(value):
                    case Quote(parents):
                        once = Cost(flops=0.0 if drawn else self.prompt)
                        price = AnswerPrice(once, Cost(flops=self.token))
                        spent = Cost(flops=self.paid(drawn))
                        value = Quoted(spent, (price,) * len(parents))
                    case Tell():
                        value = None
                    case Write():
                        drawn.append(self.answers[order[len(drawn)]])
                        value = drawn[-1:]
                    case Group(candidates):
                        value = self.grouped(candidates)
        except StopIteration as stopped:
            found: Found = stopped.value
        given = not found.settlement.abstained and drawn
        return self.score(found.best) if given else 0.0, self.paid(drawn), len(drawn)

    def voted(self, order: Sequence[int], k: int) -> tuple[float, float]:
        """Score and FLOPs of a majority vote over the first k answers; its likeliest answer."""
        drawn = [self.answers[place] for place in order[:k]]
        tally = Tally.of(self.grouped(drawn), [1.0] * k)
        own = [one for one, g in zip(drawn, tally.groups, strict=True) if g == tally.winner]
        best = max(own or drawn, key=lambda one: one.likelihood)
        return self.score(best), self.paid(drawn)


def main() -> None:
    """Print net values by rule, in mean answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--recipe", required=True, help="the start of the recipe's label")
    parser.add_argument("--task", required=True, help="the start of the task's name")
    parser.add_argument("--worth", type=float, default=60.0)
    parser.add_argument("--orders", type=int, default=5)
    given = parser.parse_args()
    stored = read(given.results, given.recipe, given.task)
    most = min(len(one.answers) for one in stored)
    unit = float(np.mean([one.paid(one.answers) / len(one.answers) for one in stored]))
    rng = np.random.default_rng(0)
    orders = [[rng.permutation(most).tolist() for _ in range(given.orders)] for _ in stored]
    print(f"{len(stored)} questions, {most} answers each, {given.orders} orders; a right answer is "
          f"worth {given.worth:g} answers")  # fmt: skip
    votes = fixed_votes(stored, orders, given.worth, unit)
    for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64):
        if k <= most:
            print(f"vote of {k:2}: {votes[k].mean():6.2f}")
    best = max(votes, key=lambda k: votes[k].mean())
    rule = Spend(value=f"{given.worth * unit:.6g}FLOP", n=most)
    means = [float(np.mean(one.right)) for one in stored]
    for name, learns in (("broad prior", False), ("mean rate of the other questions", True)):
        nets, used = ruled(rule, stored, orders, given.worth, unit, means if learns else [])
        gap = (nets - votes[best]).mean(axis=1)
        print(f"spend, {name}: {nets.mean():6.2f} with {used:.1f} answers; minus the best k "
              f"({best}): {gap.mean():+.2f} ± {gap.std(ddof=1) / len(gap) ** 0.5:.2f}")  # fmt: skip


def fixed_votes(
    stored: Sequence[Stored], orders: Sequence[Any], worth: float, unit: float
) -> dict[int, np.ndarray]:
    """Net values [questions, orders] by the fixed number of answers."""
    found = {}
    for k in range(1, len(orders[0][0]) + 1):
        pairs = [[one.voted(order, k) for order in own]
                 for one, own in zip(stored, orders, strict=True)]  # fmt: skip
        found[k] = np.array([[worth * score - paid / unit for score, paid in row] for row in pairs])
    return found


def ruled(
    rule: Spend,
    stored: Sequence[Stored],
    orders: Sequence[Any],
    worth: float,
    unit: float,
    means: Sequence[float],
) -> tuple[np.ndarray, float]:
    """Net values [questions, orders] of the strategy, and its mean number of answers."""
    nets, used = [], []
    for place, (one, own) in enumerate(zip(stored, orders, strict=True)):
        others = [*means[:place], *means[place + 1 :]]
        rate = round(float(np.clip(np.mean(others), 0.02, 0.98)), 2) if others else None
        rows = [one.spent_by(replace(rule, success=rate), order) for order in own]
        nets.append([worth * score - paid / unit for score, paid, _ in rows])
        used += [count for _, _, count in rows]
    return np.array(nets), float(np.mean(used))


def read(path: Path, recipe: str, task: str) -> list[Stored]:
    """The stored votes of a results file, opened for reading alone."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as file:
        rows = file.execute(
            "SELECT run FROM samples WHERE substr(recipe, 1, ?) = ? AND substr(task, 1, ?) = ?"
            " ORDER BY question",
            (len(recipe), recipe, len(task), task),
        ).fetchall()
    return [Stored.of(json.loads(run)) for (run,) in rows]


if __name__ == "__main__":
    main()
