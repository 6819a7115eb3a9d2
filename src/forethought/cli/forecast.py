"""`forethought forecast`: the score and cost of fewer or more answers than stored."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.grammar import Given
from forethought.cli.recipes import described_alone
from forethought.cli.terminal import columns, has_colour, report, report_json
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.contracts.forecast import Forecast
from forethought.reports.document import document
from forethought.reports.terminal.described import described_text
from forethought.reports.terminal.forecast import forecast_csv, forecast_markdown, forecast_text


def run(given: Given) -> int:
    """Predict from stored answers the score and cost of fewer or more of them."""
    if given[options.DESCRIBE] is not None:
        return _describe(given)
    if given[options.SEEN] is not None:
        raise UsageError("--seen updates a description", "add --describe TEXT")
    for file in given[options.REPORTS]:
        files.check(Path(file), _FORMS)
    # Imported late, so that wrong usage fails without waiting for it.
    from forethought.evaluation.attempts import ImperfectVerifier
    from forethought.evaluation.forecast import forecast as forecasted

    found = forecasted(
        given[options.RECIPES],
        given[options.TASKS],
        described_alone(given),
        results=given[options.RESULTS],
        verifier=ImperfectVerifier(
            given[options.FALSE_POSITIVES],
            given[options.PENALTY],
            given[options.COMPLETENESS],
            given[options.ATTEMPT_PRICE],
            given[options.MEASURED],
        ),
        up_to=given[options.UP_TO],
        against=given[options.AGAINST],
        pfn=given[options.PFN],
        curves=given[options.CURVES],
        prior=given[options.PRIOR],
    )
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    for file in given[options.REPORTS]:
        files.write(Path(file), _FORMS[Path(file).suffix](found))
    if given[options.JSON]:
        report_json(document(asdict(found)))
    else:
        report(forecast_text(found, width=columns(sys.stdout), colour=has_colour(sys.stdout)))
    return 0


def _describe(given: Given) -> int:
    """Predict a score from a description."""
    if given[options.RECIPES] or given[options.TASKS] or given[options.REPORTS]:
        raise UsageError(
            "--describe forecasts what has no stored answers, and recipes, tasks or reports are "
            "named",
            "leave them out; --results, --seen, --pfn and --json go with --describe",
        )
    seen = _seen(given[options.SEEN])
    if given[options.PFN] and seen is None:
        raise UsageError("the network updates a prior, and no results are seen", "add --seen 7/10")
    # Imported late, so that wrong usage fails without waiting for it.
    from forethought.evaluation.describe import describe

    found = describe(
        given[options.DESCRIBE] or "",
        given[options.RESULTS],
        seen,
        given[options.PFN],
    )
    if given[options.JSON]:
        report_json(document(asdict(found)))
    else:
        report(described_text(found, width=columns(sys.stdout)))
    return 0


def _seen(text: str | None) -> tuple[int, int] | None:
    """Right answers and answers of a first look."""
    if text is None:
        return None
    right, _, made = text.partition("/")
    if not (right.isdecimal() and made.isdecimal() and 0 <= int(right) <= int(made) > 0):
        raise BadParameterError(
            f"--seen {text!r} is no result", "write right answers and all answers, such as 7/10"
        )
    return int(right), int(made)


def _page(found: Forecast) -> str:
    # Imported late: only a page needs the template.
    from forethought.reports.html.forecast import forecast_html

    return forecast_html(found, title="Forethought forecast")


def _document(found: Forecast) -> str:
    return document(asdict(found)) + "\n"


_FORMS: dict[str, Callable[[Forecast], str]] = {
    ".html": _page,
    ".md": forecast_markdown,
    ".csv": forecast_csv,
    ".json": _document,
}
