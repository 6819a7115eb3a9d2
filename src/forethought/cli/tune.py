"""`forethought tune`: a plan with a strategy for each difficulty, or calibrations."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.grammar import Given
from forethought.cli.recipes import described_alone
from forethought.cli.terminal import columns, has_colour, report, report_json
from forethought.contracts.calibration import WANTED_CALIBRATIONS
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.contracts.plan import SIGNS
from forethought.reports.terminal.calibration import calibration_text
from forethought.reports.terminal.tuning import tuning_text


def run(given: Given) -> int:
    """Fit a plan, calibrations, a probe, settings or a network."""
    if given[options.CALIBRATE] is not None:
        return _calibrate(given)
    if not given[options.TUNE_PROBE].isdecimal():
        from forethought.cli import tune_probe

        return tune_probe.run(given)
    if given[options.SETTINGS] is not None:
        from forethought.cli import tune_settings

        return tune_settings.run(given)
    if given[options.TRAIN_PFN] is not None:
        from forethought.cli import tune_network

        return tune_network.run(given)
    plan = given[options.PLAN]
    if plan:
        files.check(Path(plan), [".json"])
    sign = next((one for one in SIGNS if one == given[options.BY]), None)
    if sign is None:
        raise UnknownNameError.among("difficulty signal", given[options.BY], SIGNS)
    # Imported late, so that wrong usage fails without waiting for it.
    from forethought.evaluation.tune import PlanSettings, tune

    found = tune(
        given[options.STRATEGIES],
        given[options.TASKS],
        described_alone(given),
        wanted=PlanSettings(
            int(given[options.TUNE_PROBE]), sign, given[options.BINS], given[options.WORTH]
        ),
        results=given[options.RESULTS],
    )
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    if plan:
        files.write(Path(plan), found.plan.text())
    if given[options.JSON]:
        told = {**asdict(found), "digest": found.plan.digest}
        report_json(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        width, colour = columns(sys.stdout), has_colour(sys.stdout)
        report(tuning_text(found, file=plan or "", width=width, colour=colour))
    return 0


def _calibrate(given: Given) -> int:
    """Measure the confidence methods of stored answers, and write their calibrations."""
    asked = given[options.CALIBRATE] or ""
    wanted = next((one for one in WANTED_CALIBRATIONS if one == asked), None)
    if wanted is None:
        raise UnknownNameError.among("calibration", asked, WANTED_CALIBRATIONS)
    if given[options.STRATEGIES]:
        raise UsageError(
            "--calibrate reads all stored answers of a model, and strategies are named",
            "leave them out, and name the model with -m and tasks with -t",
        )
    file = given[options.PLAN]
    if file:
        files.check(Path(file), [".json"])
    # Imported late, so that wrong usage fails without waiting for it.
    from forethought.evaluation.calibration import calibrate
    from forethought.storage.calibrations import add_calibrations

    found = calibrate(
        wanted,
        tasks=given[options.TASKS],
        model=described_alone(given).model,
        results=given[options.RESULTS],
    )
    where = add_calibrations(found.calibrations, Path(file) if file else None)
    if given[options.JSON]:
        report_json(json.dumps(found.document(), ensure_ascii=False, indent=2))
    else:
        width, colour = columns(sys.stdout), has_colour(sys.stdout)
        report(calibration_text(found, file=str(where), width=width, colour=colour))
    return 0
