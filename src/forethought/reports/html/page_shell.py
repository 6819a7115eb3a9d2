"""The frame of report pages: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from string import Template

VIEWS = (
    '<div class="choices views" role="group" aria-label="View">'
    '<button type="button" data-show="chart" aria-pressed="true">Chart</button>'
    '<button type="button" data-show="table" aria-pressed="false">Table</button></div>'
)


def page(
    *,
    title: str,
    finding: str,
    context: str,
    sections: str,
    caveats: Iterable[str],
    provenance: Mapping[str, str],
    tips: str,
    data: str,
) -> str:
    """The whole page; finding and caveats are text, `data` is JSON, all other parts are HTML."""
    parts = {
        "title": escape(title),
        "style": part("look.css") + part("page.css"),
        "script": part("page.js"),
        "finding": prose(finding),
        "context": f'<p class="context">{context}</p>\n' if context else "",
        "sections": sections,
        "caveats": "".join(f"<p>{prose(line)}</p>" for line in caveats),
        "provenance": listed(provenance),
        "tips": tips,
        "data": data,
    }
    return Template(part("page.html")).substitute(parts)


def part(name: str) -> str:
    """The text of a template file."""
    return (files("forethought.reports.html") / "page" / name).read_text("utf-8")


def prose(text: str) -> str:
    """Escaped text with no line break between a number and its sign."""
    return escape(text).replace(" %", "&nbsp;%").replace(" ×", "&nbsp;×")


def listed(rows: Mapping[str, str]) -> str:
    """A definition list; empty without rows."""
    if not rows:
        return ""
    found = "".join(f"<dt>{escape(name)}</dt><dd>{escape(one)}</dd>" for name, one in rows.items())
    return f"<dl>{found}</dl>"
