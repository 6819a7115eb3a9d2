"""A bug that another library has or had, and how our code would have it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """The least change of our code that plants a bug, and the test that must see it."""

    name: str
    """What goes wrong."""
    seen_in: str
    """The project that had it, and where."""
    file: str
    """Which file of ours would have it, under src/forethought."""
    old: str
    """Stands in the file once."""
    new: str
    """What it becomes."""
    test: str
    """Fails where the bug is planted: a file, `::` and the name of a test in it."""

    def planted(self, source: str) -> str:
        """The file's text with the bug in it."""
        found = source.count(self.old)
        assert found == 1, f"{self.file}: {self.old!r} stands there {found} times"
        return source.replace(self.old, self.new)
