"""The static files of the page, and their assembly into one self-contained HTML file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from forethought.reports.document import embedded
from forethought.reports.html.page_shell import part

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Headers of every static file; the page loads nothing from other hosts and nothing inline."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_LOOK = "look.css"
"""The style sheet that the page shares with reports."""
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([a-z_]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function\*?|const|class) (\w+)", re.MULTILINE)


class PageFile(NamedTuple):
    """A static file and its content type."""

    text: str
    content_type: str


@cache
def page_files() -> Mapping[str, PageFile]:
    """The files of the page by name; no other file is ever served."""
    folder = files("forethought.server") / "page"
    found = {one.name: one.read_text("utf-8") for one in folder.iterdir() if one.is_file()}
    found[_LOOK] = part(_LOOK)
    return {name: PageFile(text, _TYPES[name[name.rindex(".") :]]) for name, text in found.items()}


def exported(title: str, content: Mapping[str, Any]) -> str:
    """One HTML file that shows a run with the page's own modules, and loads nothing."""
    own = page_files()
    parts = {
        "title": title.replace("&", "&amp;").replace("<", "&lt;"),
        "style": own[_LOOK].text + own["page.css"].text,
        "script": bundled("export.js"),
        "data": embedded(dict(content)),
    }
    return re.sub(r"\$(\w+)", lambda found: parts[found[1]], own["export.html"].text)


def bundled(entry: str) -> str:
    """A module and all its imports as one script, each module in a function of its own."""
    order: dict[str, None] = {}
    _visit(entry, order)
    return "".join(['"use strict";\nconst modules = {};\n', *map(_wrapped, order)])


def _visit(name: str, order: dict[str, None]) -> None:
    for _, imported in _IMPORT.findall(page_files()[name].text):
        if imported not in order:
            _visit(imported, order)
    order[name] = None


def _wrapped(name: str) -> str:
    text = page_files()[name].text
    exports = ", ".join(found for _, found in _EXPORT.findall(text))
    body = "".join(_imports(text)) + _EXPORT.sub(r"\1 \2", _IMPORT.sub("", text))
    return f'modules["{name}"] = (() => {{\n{body}return {{ {exports} }};\n}})();\n'


def _imports(text: str) -> Iterator[str]:
    for names, module in _IMPORT.findall(text):
        yield f'const {{ {" ".join(names.split())} }} = modules["{module}"];\n'
