"""`forethought compare`: recipes beside the exact run, as table, file and picture."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument

from forethought.cli import files, options
from forethought.cli.arena import arena, check_whole
from forethought.cli.ask import named_alone
from forethought.cli.screen import columns, has_colour, report
from forethought.contracts.comparison import Comparison
from forethought.reports.comparison import (
    comparison_csv,
    comparison_markdown,
    comparison_text,
)
from forethought.reports.document import MEASURED, document
from forethought.runs.recipe import Recipe


def compare(
    recipes: Annotated[
        list[str] | None,
        Argument(
            help="Methods, or whole recipes, beside the exact run of the model.",
            show_default=False,
        ),
    ] = None,
    model: options.Model = Recipe.model,
    draft: options.Draft = None,
    keep: options.Keeps = None,
    task: options.Tasks = None,
    samples: options.Answers = 1,
    temperature: options.Temperature = None,
    top_p: options.TopP = Recipe.top_p,
    max_tokens: options.MaxTokens = Recipe.max_tokens,
    budget: options.SearchBudget = Recipe.budget,
    weights: options.Weights = Recipe.weights,
    seed: options.Seed = Recipe.seed,
    skip_bad: options.SkipBad = False,
    price: options.Prices = None,
    results: options.Results = None,
    output: options.Reports = None,
    threads: options.Threads = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Compare recipes with the exact run: quality against bytes, time and FLOPs.

    Run the same line again to go on after a stop; add recipes, budgets or tasks, and only what
    is missing is asked.
    """
    written = forms(timing=True)
    for file in output or []:
        files.check(Path(file), written)
    base = named_alone(model)
    found = arena(
        ["exact", *(recipes or [])],
        Recipe(
            model=base.model,
            draft=draft or base.draft,
            approximate=base.approximate,
            max_tokens=max_tokens,
            budget=budget,
            temperature=temperature,
            top_p=top_p,
            weights=weights,
            seed=seed,
        ),
        keeps=keep or [],
        tasks=task or [],
        skip_bad=skip_bad,
        prices=price or [],
        results=results,
        samples=samples,
        threads=threads,
        quiet=quiet,
    ).run(searches=True)
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    for file in output or []:
        files.write(Path(file), written[Path(file).suffix](found))
    if json:
        report(comparison_document(found, timing=True))
    else:
        width, colour = columns(sys.stdout), has_colour(sys.stdout)
        report(comparison_text(found, width=width, colour=colour))
    check_whole(found)
    return 0


def forms(*, timing: bool) -> dict[str, Callable[[Comparison], str]]:
    """How a comparison is written to a file, by the file's ending."""

    def page(found: Comparison) -> str:
        # Imported when a page is wanted, since its template need not be read for every help.
        from forethought.reports.comparison_html import comparison_html

        return comparison_html(found, title="Forethought comparison", timing=timing)

    return {
        ".html": page,
        ".md": partial(comparison_markdown, timing=timing),
        ".csv": partial(comparison_csv, timing=timing),
        ".json": lambda found: comparison_document(found, timing=timing) + "\n",
    }


def comparison_document(found: Comparison, *, timing: bool) -> str:
    """A comparison as JSON; without `timing` nothing that a clock measured is in it."""
    return document(asdict(found), () if timing else MEASURED)
