"""`forethought tune`: a plan of which strategy suits questions of which difficulty."""

from __future__ import annotations

import json as json_format
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from forethought.cli import files, options
from forethought.cli.ask import named_alone
from forethought.cli.screen import columns, has_colour, report
from forethought.contracts.errors import UnknownNameError
from forethought.contracts.plan import SIGNS
from forethought.reports.tuning_text import tuning_text
from forethought.runs.recipe import Recipe


def tune(
    strategies: Annotated[
        list[str] | None,
        Argument(help="Strategies to choose among, two or more.", show_default=False),
    ] = None,
    model: options.Model = Recipe.model,
    draft: options.Draft = None,
    task: options.Tasks = None,
    probe: Annotated[int, Option("--probe", help="Answers that tell how hard a question is.")] = 4,
    by: Annotated[
        str, Option("--by", help="What of them is looked at first: agreement or likelihood.")
    ] = "agreement",
    bins: Annotated[int, Option("--bins", help="Most bins of difficulty.")] = 3,
    worth: Annotated[
        float, Option("--worth", help="Points of score that a thousand tokens must bring.")
    ] = 0.0,
    results: options.Results = None,
    output: Annotated[
        str | None,
        Option("--report", "-o", help="Write the plan: FILE.json.", show_default=False),
    ] = None,
    json: options.Json = False,
    verbose: options.Verbose = False,
) -> int:
    """Fit which strategy suits which questions, from kept answers; no model is asked.

    `compare` with the strategies keeps the answers that this reads; difficulty-router follows
    the plan.
    """
    if output:
        files.check(Path(output), [".json"])
    sign = next((one for one in SIGNS if one == by), None)
    if sign is None:
        raise UnknownNameError.among("sign of difficulty", by, SIGNS)
    # Imported this late since it brings what other verbs must not wait for.
    from forethought.evaluation.tune import Wanted
    from forethought.evaluation.tune import tune as tuned

    base = named_alone(model)
    found = tuned(
        strategies or [],
        task or [],
        replace(base, draft=draft or base.draft),
        wanted=Wanted(probe, sign, bins, worth),
        results=results,
    )
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    if output:
        files.write(Path(output), found.plan.text())
    if json:
        told = {**asdict(found), "digest": found.plan.digest}
        report(json_format.dumps(told, ensure_ascii=False, indent=2))
    else:
        width, colour = columns(sys.stdout), has_colour(sys.stdout)
        report(tuning_text(found, file=output or "", width=width, colour=colour))
    return 0
