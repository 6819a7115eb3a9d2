"""Write the committed reference pages: docs/methods.md, docs/tasks.md and docs/cli.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts.reference.commands import commands_page
from scripts.reference.methods import methods_page, tasks_page

DOCS = Path(__file__).parents[2] / "docs"
COMMITTED: dict[str, Callable[[], str]] = {
    "methods.md": methods_page,
    "tasks.md": tasks_page,
    "cli.md": commands_page,
}
"""Each committed page and the function that writes it."""


def main() -> None:
    """Write all of them."""
    for name, text in COMMITTED.items():
        (DOCS / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
