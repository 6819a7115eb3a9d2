"""`forethought pull`: fetch a model now, for later use without a network."""

from __future__ import annotations

import sys
from typing import Annotated

from typer import Argument, Option

from forethought.cli import options
from forethought.cli.progress import Progress
from forethought.cli.screen import report


def pull(
    model: Annotated[
        str, Argument(help="A model of `forethought list models`, a hub id, a folder or GGUF file.")
    ],
    again: Annotated[bool, Option("--again", help="Fetch it even if it is here.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Fetch a model, check it and keep it; its folder is printed."""
    # Imported this late since it brings torch, which other verbs must not wait for.
    from forethought.models.load import pull as pull_model

    progress = Progress(sys.stderr, quiet)
    report(str(pull_model(model, again=again, progress=progress.show)))
    return 0
