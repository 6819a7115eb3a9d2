"""Measured rows of a method, from the CSV files of benchmarks/results."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import fmean

from forethought.contracts import spelling
from scripts.reference.markdown import code, table

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
MIB = 1 << 20
Record = dict[str, str]
COMPARED = (
    "run",
    "recipe",
    "questions",
    "score (95 %)",
    "minus exact (95 %)",
    "prompt tokens",
    "cache MiB",
    "FLOPs × exact",
)
SEARCHED = ("task", "recipe", "questions", "score", "tokens", "TFLOP")


def rows_of(name: str) -> list[str]:
    """Tables of the measured recipes that use the method `name`; none where it was not measured."""
    compared = table(COMPARED, _compared(name))
    searched = table(SEARCHED, _searched(name))
    return [
        *([compared, "Scores are points of 100 over all tasks of a run."] if compared else []),
        *([searched, "Scores are points of 100; tokens include the prompt."] if searched else []),
    ]


def names_in(recipe: str) -> set[str]:
    """The methods, the strategy and the scorer that a recipe names."""
    answered, *search = spelling.split(recipe.partition(" --")[0], "@")
    _, *methods = spelling.split(answered, "+")
    return {part.partition("(")[0] for part in [*methods, *search]}


def _compared(name: str) -> Iterator[list[str]]:
    """Whole runs of `compare`: each recipe over all tasks, behind its exact run."""
    for run, records in _files().items():
        whole = [one for one in records if one.get("read_tokens")]
        if exact := next((one for one in whole if not one["baseline"]), None):
            found = [one for one in whole if name in names_in(one["recipe"])]
            for record in [exact, *found] if found else []:
                yield _compared_row(run, record, exact)


def _compared_row(run: str, record: Record, exact: Record) -> list[str]:
    return [
        code(run),
        code(record["recipe"]),
        record["questions"],
        _points(record, "score"),
        _points(record, "difference"),
        f"{float(record['read_tokens']):,.0f}",
        f"{float(record['cache_bytes']) / MIB:.1f}",
        f"{float(record['flops']) / float(exact['flops']):.2f}",
    ]


def _points(record: Record, column: str) -> str:
    if not record[column]:
        return ""
    low, middle, high = (
        100 * float(record[part]) for part in (f"{column}_low", column, f"{column}_high")
    )
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def _searched(name: str) -> Iterator[list[str]]:
    """Means over the questions of each task: the recipes with the method, and the plain answer."""
    grouped: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in (one for records in _files().values() for one in records if "tflop" in one):
        grouped[record["task"], record["recipe"]].append(record)
    runs = {(task, _model(recipe)) for task, recipe in grouped if name in names_in(recipe)}
    for (task, recipe), records in sorted(grouped.items()):
        if name in names_in(recipe) or (not names_in(recipe) and (task, _model(recipe)) in runs):
            yield [task, code(recipe), str(len(records)), *_means(records)]


def _model(recipe: str) -> str:
    return recipe.partition(" --")[0].partition("@")[0]


def _means(records: list[Record]) -> list[str]:
    score, tokens, tflop = (
        fmean(float(one[column]) for one in records) for column in ("score", "tokens", "tflop")
    )
    return [f"{100 * score:.0f}", f"{tokens:,.0f}", f"{tflop:.2f}"]


@cache
def _files() -> dict[str, list[Record]]:
    """The rows of each file, by the file's name without its ending."""
    return {file.stem: _records(file) for file in sorted(RESULTS.glob("*.csv"))}


def _records(file: Path) -> list[Record]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))
