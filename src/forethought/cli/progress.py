"""The progress line of a model download or conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from forethought.cli.terminal import redraw


@dataclass(frozen=True)
class Progress:
    """Redraws one line in place; silent without a terminal."""

    err: TextIO
    quiet: bool = False

    def show(self, what: str, done: int, total: int) -> None:
        """Show the progress of `what`; the line disappears at the end."""
        if not self.quiet and self.err.isatty():
            redraw(self.err, f"{what}  {100 * done // total} %" if done < total else "")
