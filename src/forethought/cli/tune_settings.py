"""`forethought tune --settings SPACE`: settings by Bayesian optimisation."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.grammar import Given
from forethought.cli.recipes import described_alone
from forethought.cli.stored_probe import checked_price
from forethought.cli.terminal import columns, report, report_json
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.contracts.settings import OBJECTIVES, SettingsTrial
from forethought.reports.terminal.settings import settings_text, trial_line


def run(given: Given) -> int:
    """Answer the tasks with recipes that the search proposes, and print the best."""
    if given[options.STRATEGIES]:
        raise UsageError(
            f"--settings names the recipes, and {given[options.STRATEGIES][0]} is named besides",
            "leave it out, or write it into the space",
        )
    if not given[options.TASKS]:
        raise UsageError("there is no task", "name one with -t; see: forethought list tasks")
    objective = next((one for one in OBJECTIVES if one == given[options.OBJECTIVE]), None)
    if objective is None:
        raise UnknownNameError.among("objective", given[options.OBJECTIVE], OBJECTIVES)
    per_hour = checked_price(given[options.USD_PER_HOUR])
    output = given[options.PLAN]
    if output:
        files.check(Path(output), [".json"])
    # Imported late, so that wrong usage fails without waiting for it.
    from forethought.evaluation.tune_settings import TuningSettings, tune_settings

    def told(trial: SettingsTrial) -> None:
        report(trial_line(trial), sys.stderr)

    found = tune_settings(
        given[options.SETTINGS] or "",
        given[options.TASKS],
        described_alone(given),
        wanted=TuningSettings(
            given[options.TRIALS],
            given[options.LOSS],
            given[options.SURROGATE],
            engine=given[options.ENGINE],
            objective=objective,
            usd_per_hour=per_hour,
        ),
        results=given[options.RESULTS],
        progress=told,
    )
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    text = json.dumps(asdict(found), ensure_ascii=False, indent=2)
    if output:
        files.write(Path(output), text + "\n")
    if given[options.JSON]:
        report_json(text)
    else:
        report(settings_text(found, width=columns(sys.stdout)))
    return 0
