"""`forethought pull`: fetch a model for later use without a network."""

from __future__ import annotations

import sys

from forethought.cli import options
from forethought.cli.grammar import Given
from forethought.cli.progress import Progress
from forethought.cli.terminal import report


def run(given: Given) -> int:
    """Fetch a model into the cache, check it and print its folder."""
    # Imported late: it imports torch.
    from forethought.models.load import pull

    progress = Progress(sys.stderr, given[options.QUIET])
    folder = pull(given[options.FETCHED], again=given[options.AGAIN], progress=progress.show)
    report(str(folder))
    return 0
