"""Searches at equal tokens: one table of the questions that every recipe answered.

    python benchmarks/equal_tokens.py RESULTS.db --task NAME [--without PART ...] [--csv FILE]

Reads what `forethought compare ... --results RESULTS.db` kept, also where it was stopped, and asks
nothing. Questions of several files count as those of one task, NAME. The CSV gets a line for each
recipe and question, so that a later table needs no results file.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from forethought.contracts.comparison import Comparison, Difference
from forethought.contracts.questions import Sample
from forethought.evaluation.statistics import compared
from forethought.evaluation.token_rates import all_tokens
from forethought.storage.store import Store
from report import table

COLUMNS = ["recipe", "score (95 %)", "tokens", "TFLOP", "minus", "wins", "losses"]


def main() -> None:
    """Print the table, and write the lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--task", required=True, help="what to call the questions")
    parser.add_argument("--against", default="majority-vote", help="a part of the recipe's name")
    parser.add_argument("--without", nargs="*", default=[], help="parts of names to leave out")
    parser.add_argument("--csv", type=Path, help="a file to add a line a question to")
    options = parser.parse_args()
    with Store.open(options.results) as store:
        every = renamed(store.samples(), options.task)
    left = [one for one in every if not any(part in one.recipe for part in options.without)]
    kept = answered_by_all(left)
    recipes = list(dict.fromkeys(sample.recipe for sample in kept))
    found = compared(kept, recipes, [options.task])
    (against,) = (name for name in recipes if options.against in name)
    print(f"{found.questions} questions, minus {against}\n")
    print(table(COLUMNS, list(rows(found, against))))
    if options.csv:
        added(options.csv, every)


def renamed(samples: Iterable[Sample], task: str) -> list[Sample]:
    """The first answers to all questions as those of one task."""
    return [replace(one, task=task) for one in samples if one.number == 0]


def answered_by_all(samples: list[Sample]) -> list[Sample]:
    """Those of the questions that every recipe answered, by question."""
    by_question: dict[str, list[Sample]] = defaultdict(list)
    for one in samples:
        by_question[one.question].append(one)
    recipes = {one.recipe for one in samples}
    whole = [q for q, answers in by_question.items() if {a.recipe for a in answers} == recipes]
    return [one for question in whole for one in by_question[question]]


def rows(found: Comparison, against: str) -> Iterable[dict[str, Any]]:
    """The table's rows."""
    minus = {one.recipe: one for one in found.differences if one.against == against}
    for one in found.standings:
        low, high = 100 * one.score.low, 100 * one.score.high
        yield {
            "recipe": f"`{one.recipe}`",
            "score (95 %)": f"{100 * one.score.value:.0f} ({low:.0f} to {high:.0f})",
            "tokens": f"{one.tokens:,.0f}",
            "TFLOP": f"{one.flops / 1e12:.2f}",
            **(_difference(minus[one.recipe]) if one.recipe in minus else {}),
        }


def _difference(one: Difference) -> dict[str, Any]:
    value, low, high = (
        100 * part for part in (one.interval.value, one.interval.low, one.interval.high)
    )
    said = f"{value:+.0f} ({low:+.0f} to {high:+.0f})"
    return {"minus": said, "wins": one.wins, "losses": one.losses}


def added(file: Path, samples: list[Sample]) -> None:
    """Add a line for each sample, also of questions that not all answered."""
    fresh = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        if fresh:
            writer.writerow(["recipe", "task", "question", "score", "tokens", "tflop"])
        for one in samples:
            cost = one.run["cost"]
            flops = f"{cost['flops'] / 1e12:.4f}"
            writer.writerow(
                [one.recipe, one.task, one.question, one.score, round(all_tokens(cost)), flops]
            )


if __name__ == "__main__":
    main()
