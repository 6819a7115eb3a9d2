"""`forethought forecast`: what kept answers tell of fewer and of more of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from forethought.cli import files, options
from forethought.cli.ask import named_alone
from forethought.cli.screen import columns, has_colour, report
from forethought.contracts.forecast import Forecast
from forethought.reports.document import document
from forethought.reports.forecast_text import forecast_csv, forecast_markdown, forecast_text
from forethought.runs.recipe import Recipe


def forecast(
    recipes: Annotated[
        list[str] | None,
        Argument(
            help="Strategies or whole recipes; all that were run if none.", show_default=False
        ),
    ] = None,
    model: options.Model = Recipe.model,
    draft: options.Draft = None,
    task: options.Tasks = None,
    false_positives: Annotated[
        float | None,
        Option(
            "--false-positives",
            help="Share of wrong answers that a verifier passes: how many attempts then pay.",
            show_default=False,
        ),
    ] = None,
    penalty: Annotated[
        float, Option("--penalty", help="What such an answer costs; a right one is worth 1.")
    ] = 1.0,
    results: options.Results = None,
    output: options.Reports = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Tell from kept answers what fewer or more of them would score and cost.

    No model is asked: `compare` with a strategy keeps the answers that this reads.
    """
    for file in output or []:
        files.check(Path(file), _FORMS)
    # Imported this late since it brings what other verbs must not wait for.
    from forethought.evaluation.forecast import Wager
    from forethought.evaluation.forecast import forecast as forecasted

    base = named_alone(model)
    found = forecasted(
        recipes or [],
        task or [],
        replace(base, draft=draft or base.draft),
        results=results,
        wager=Wager(false_positives, penalty),
    )
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    for file in output or []:
        files.write(Path(file), _FORMS[Path(file).suffix](found))
    if json:
        report(document(asdict(found)))
    else:
        report(forecast_text(found, width=columns(sys.stdout), colour=has_colour(sys.stdout)))
    return 0


def _page(found: Forecast) -> str:
    # Imported when a page is wanted, since its template need not be read for every help.
    from forethought.reports.forecast_html import forecast_html

    return forecast_html(found, title="Forethought forecast")


def _document(found: Forecast) -> str:
    return document(asdict(found)) + "\n"


_FORMS: dict[str, Callable[[Forecast], str]] = {
    ".html": _page,
    ".md": forecast_markdown,
    ".csv": forecast_csv,
    ".json": _document,
}
