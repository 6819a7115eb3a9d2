"""`forethought evaluate`: recipes on tasks, resumable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument

from forethought.cli import files, options
from forethought.cli.arena import arena, check_whole
from forethought.cli.ask import named_alone
from forethought.cli.compare import comparison_document, forms
from forethought.cli.screen import columns, has_colour, report
from forethought.contracts.errors import UsageError
from forethought.reports.comparison import comparison_csv, comparison_markdown, comparison_text
from forethought.runs.recipe import Recipe


def evaluate(
    recipes: Annotated[
        list[str] | None,
        Argument(help="Methods, `exact`, or whole recipes; exact if none.", show_default=False),
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
    csv: options.Csv = False,
    markdown: options.Markdown = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Score recipes on tasks; run the same line again to go on after a stop.

    The report holds nothing that is measured by a clock, so it is the same however often the
    evaluation was stopped.
    """
    if json + csv + markdown > 1:
        raise UsageError("--json, --csv and --markdown exclude each other", "choose one of them")
    written = forms(timing=False)
    for file in output or []:
        files.check(Path(file), written)
    base = named_alone(model)
    found = arena(
        recipes or ["exact"],
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
    ).run()
    for file in output or []:
        files.write(Path(file), written[Path(file).suffix](found))
    if json:
        report(comparison_document(found, timing=False))
    elif csv:
        sys.stdout.write(comparison_csv(found, timing=False))
    elif markdown:
        report(comparison_markdown(found, timing=False))
    else:
        width, colour = columns(sys.stdout), has_colour(sys.stdout)
        report(comparison_text(found, width=width, colour=colour, timing=False))
    check_whole(found)
    return 0
