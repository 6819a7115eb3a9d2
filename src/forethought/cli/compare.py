"""`forethought compare`: recipes beside the exact run, as table, file and picture."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from forethought.cli import files, options
from forethought.cli.arena import arena, check_whole
from forethought.cli.ask import named
from forethought.cli.screen import columns, has_colour, report
from forethought.contracts.comparison import Comparison
from forethought.reports.comparison import (
    comparison_csv,
    comparison_markdown,
    comparison_text,
)
from forethought.reports.document import document
from forethought.runs.recipe import Recipe

Report = Annotated[
    list[str] | None,
    Option("--report", "-o", help="Write a report too: FILE.html, .md, .csv or .json; repeatable."),
]


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
    weights: options.Weights = Recipe.weights,
    seed: options.Seed = Recipe.seed,
    skip_bad: options.SkipBad = False,
    price: options.Prices = None,
    results: options.Results = None,
    output: Report = None,
    threads: options.Threads = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Compare recipes with the exact run: quality against bytes, time and FLOPs.

    Run the same line again to go on after a stop; add recipes, budgets or tasks, and only what
    is missing is asked.
    """
    for file in output or []:
        files.check(Path(file), _FORMS)
    base = named(model)
    found = arena(
        ["exact", *(recipes or [])],
        Recipe(
            model=base.model,
            draft=draft or base.draft,
            approximate=base.approximate,
            max_tokens=max_tokens,
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
        files.write(Path(file), _FORMS[Path(file).suffix](found))
    if json:
        report(document(asdict(found)))
    else:
        width, colour = columns(sys.stdout), has_colour(sys.stdout)
        report(comparison_text(found, width=width, colour=colour))
    check_whole(found)
    return 0


def _page(found: Comparison) -> str:
    # Imported when a page is wanted, since its template need not be read for every help.
    from forethought.reports.comparison_html import comparison_html

    return comparison_html(found, title="Forethought comparison")


def _document(found: Comparison) -> str:
    return document(asdict(found)) + "\n"


_FORMS: dict[str, Callable[[Comparison], str]] = {
    ".html": _page,
    ".md": comparison_markdown,
    ".csv": comparison_csv,
    ".json": _document,
}
