"""`forethought compress`: a document shortened for a question, as text."""

from __future__ import annotations

import json
import sys

from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.inputs import asked, check_letters
from forethought.cli.progress import Progress
from forethought.cli.recipes import described_alone
from forethought.cli.terminal import report_json, write
from forethought.cli.torch_start import start_torch


def run(given: Given) -> int:
    """Shorten a document for a question and print both, for any model to answer."""
    check_letters("the question", given[options.QUESTION] or "")
    recipe = described_alone(given)
    ask_for = asked(given[options.QUESTION], given[options.FILE])
    start_torch(given[options.THREADS])
    from forethought.sessions.compress import compress as shorten

    quiet = given[options.QUIET]
    progress = Progress(sys.stderr, quiet).show
    found = shorten(ask_for.question, recipe, document=ask_for.document, progress=progress)
    if given[options.JSON]:
        report_json(json.dumps(found.document, ensure_ascii=False, indent=2))
        return 0
    write(sys.stdout, found.text + "\n")
    if not quiet:
        kept = found.document["kept"]
        lines = [f"kept {kept['prompt_tokens']:,} of {kept['of']:,} prompt tokens"]
        write(sys.stderr, "\n" + "\n".join([*found.document["notes"], *lines]) + "\n")
    return 0
