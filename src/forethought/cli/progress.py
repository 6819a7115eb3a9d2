"""One line on a terminal while a model is fetched or converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from forethought.cli.terminal import redraw


@dataclass(frozen=True)
class Progress:
    """Redraws its line in place; silent where nobody watches."""

    err: TextIO
    quiet: bool = False

    def show(self, what: str, done: int, total: int) -> None:
        """Show how much of `what` is done; the line goes once all of it is."""
        if not self.quiet and self.err.isatty():
            redraw(self.err, f"{what}  {100 * done // total} %" if done < total else "")
