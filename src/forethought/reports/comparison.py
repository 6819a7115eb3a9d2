"""A comparison as terminal text, Markdown and CSV."""

from __future__ import annotations

from forethought.reports.comparison_csv import comparison_csv
from forethought.reports.comparison_markdown import comparison_markdown
from forethought.reports.terminal.comparison import comparison_text

__all__ = ["comparison_csv", "comparison_markdown", "comparison_text"]
