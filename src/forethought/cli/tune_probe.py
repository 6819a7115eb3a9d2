"""`forethought tune --probe KIND`: a head on hidden states, fitted to stored answers."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

from forethought.cli import files, options
from forethought.cli.grammar import Given
from forethought.cli.progress import Progress
from forethought.cli.recipes import described_alone
from forethought.cli.terminal import columns, report, report_json
from forethought.contracts.errors import UsageError
from forethought.contracts.probing import PROBE_KINDS
from forethought.reports.terminal.probe import probe_text


def run(given: Given) -> int:
    """Recompute the states of stored answers by one prefill, fit the head and write it."""
    kind = next((one for one in PROBE_KINDS if one == given[options.TUNE_PROBE]), None)
    if kind is None:
        raise UsageError(
            f"--probe {given[options.TUNE_PROBE]!r} is neither a number of answers nor a kind of "
            "probe",
            f"give a number such as 4, or {', '.join(PROBE_KINDS[:-1])} or {PROBE_KINDS[-1]}",
        )
    if given[options.STRATEGIES]:
        raise UsageError(
            f"a probe is fitted to a model alone, and {given[options.STRATEGIES][0]} is named",
            "leave the strategies out",
        )
    output = given[options.PLAN]
    if output:
        files.check(Path(output), [".safetensors"])
    # Imported late, so that wrong usage fails without waiting for it.
    from forethought.evaluation.fit_probe import fit_probe

    shown = Progress(sys.stderr)
    found = fit_probe(
        kind,
        given[options.TASKS],
        described_alone(given),
        results=given[options.RESULTS],
        output=output,
        progress=lambda done, total: shown.show("hidden states", done, total),
    )
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    if given[options.JSON]:
        report_json(json.dumps(asdict(found), ensure_ascii=False, indent=2))
    else:
        report(probe_text(found, file=output or "", width=columns(sys.stdout)))
    return 0
