"""One line on a terminal while a model is fetched or converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

CLEAR_LINE = "\r\x1b[K"


@dataclass(frozen=True)
class Progress:
    """Redraws its line in place; silent where nobody watches."""

    err: TextIO
    quiet: bool = False

    def show(self, what: str, done: int, total: int) -> None:
        """Show how much of `what` is done; the line goes once all of it is."""
        if self.quiet or not self.err.isatty():
            return
        line = f"{what}  {100 * done // total} %" if done < total else ""
        self.err.write(CLEAR_LINE + line)
        self.err.flush()
