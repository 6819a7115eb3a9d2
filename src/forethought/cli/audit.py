"""`forethought audit`: was a model trained on these texts in this order?"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, replace

from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.progress import Progress
from forethought.cli.recipes import described_alone
from forethought.cli.terminal import columns, report, report_json
from forethought.contracts.errors import UsageError
from forethought.reports.terminal.audit import audit_text


def run(given: Given) -> int:
    """Score the sequences of a file and test their order."""
    order = given[options.ORDER]
    if order is None:
        raise UsageError(
            "the file of training sequences is missing",
            "forethought audit ORDER.jsonl -m MODEL: a line is a sequence, in order of training",
        )
    on = described_alone(given)
    # Imported late, so that wrong usage fails without waiting for it.
    from forethought.cli.torch_start import start_torch
    from forethought.evaluation.audit import AuditSettings, audit

    start_torch(given[options.THREADS])
    shown = Progress(sys.stderr, given[options.QUIET])
    found = audit(
        order,
        on,
        given[options.REFERENCE],
        settings=AuditSettings(
            given[options.PREFIX], given[options.WINDOW], given[options.PERMUTATIONS], on.seed
        ),
        progress=lambda done, total: shown.show("sequences", done, total),
    )
    command = shlex.join(["forethought", *sys.argv[1:]])
    found = replace(found, provenance={**found.provenance, "command": command})
    if given[options.JSON]:
        report_json(json.dumps(asdict(found), ensure_ascii=False, indent=2))
    else:
        report(audit_text(found, width=columns(sys.stdout)))
    return 0
