"""Reference pages of methods, strategies, scorers and tasks, from their docstrings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from forethought import catalogue
from forethought.catalogue import Entry, Kind
from forethought.contracts.sources import LEGEND
from scripts.reference.markdown import NOTICE, code, page, prose, table
from scripts.reference.measured import rows_of

_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{5})")
Families = dict[str, list[Entry]]


class Chapter(NamedTuple):
    """One kind of catalogue entry, and its heading and introduction."""

    kind: Kind
    title: str
    about: str


CHAPTERS = (
    Chapter(
        "methods",
        "Approximations",
        "`-x NAME` applies an approximation to the forward pass. `keep` is a number of tokens, a "
        "share of the prompt, or bytes. Each one has a setting at which it equals the exact run.",
    ),
    Chapter(
        "strategies",
        "Searches",
        "`-s NAME` spends several passes on one question. Searches that rank candidates take "
        "`--scorer`. [Searching](searching.md) explains budgets, comparisons and forecasts.",
    ),
    Chapter(
        "scorers",
        "Scorers",
        "`--scorer NAME` gives each candidate of a search a score from 0 to 1. `--confidence NAME` "
        "says how sure the answer is; the family `confidence` is made for it, and every other "
        "scorer serves too. [Confidence](confidence.md) explains calibrations and abstention.",
    ),
)
TASKS = Chapter(
    "tasks",
    "Tasks",
    "`-t NAME` of `compare` and `evaluate` names a task, or a family for all of its tasks.",
)


_PUBLISHED = (
    f"Column `published`: {LEGEND} Methods with `protect` keep the chat template and the question, "
    "which the published methods do not; `protect=false` turns this off."
)


def methods_page() -> str:
    """`docs/methods.md`: every method, strategy and scorer."""
    chapters = _chapters(lambda name: f"#{name}")
    return page(NOTICE, "# Methods", _PUBLISHED, *chapters, *_sections(CHAPTERS))


def tasks_page() -> str:
    """`docs/tasks.md`: every task."""
    tables = _overview(families(TASKS.kind), lambda name: f"#{name}")
    return page(NOTICE, "# Tasks", TASKS.about, *tables, *_sections([TASKS]))


def overview_page() -> str:
    """The site's list of methods, which links to a page for each."""
    return page("# Methods", _PUBLISHED, *_chapters(lambda name: f"methods/{name}.md"))


def method_pages() -> dict[str, str]:
    """The site's page for each method, strategy and scorer, by its path."""
    return {
        f"methods/{entry.name}.md": method_page(entry)
        for chapter in CHAPTERS
        for entries in families(chapter.kind).values()
        for entry in entries
    }


def method_page(entry: Entry) -> str:
    """One method: its docstring, its parameters and its measured rows."""
    measured = page(*rows_of(entry.name)).rstrip()
    return page(f"# {entry.name}", section(entry), measured and "## Measured", measured)


def section(entry: Entry) -> str:
    """A docstring and the parameters, without a heading."""
    notes = [f"- **{name}:** {_note(name, text)}" for name, text in entry.notes.items()]
    parameters = table(
        ["parameter", "default", "values", "meaning"],
        (
            [code(one.name), code(one.default), prose(one.limits), prose(one.help)]
            for one in entry.parameters
        ),
    )
    return page(prose(entry.summary), "\n".join(notes), parameters).rstrip()


def families(kind: Kind) -> Families:
    """This package's own entries of a kind by family; those of other packages are left out."""
    found = {
        family: [entry for entry in entries if entry.module.startswith("forethought.")]
        for family, entries in catalogue.families(kind).items()
    }
    return {family: entries for family, entries in found.items() if entries}


def _note(name: str, text: str) -> str:
    return code(text) if name == "Example" else _ARXIV.sub(_linked, prose(text))


def _linked(found: re.Match[str]) -> str:
    return f"[{found[0]}](https://arxiv.org/abs/{found[1]})"


def _chapters(link: Callable[[str], str]) -> Iterator[str]:
    for chapter in CHAPTERS:
        yield from (f"## {chapter.title}", chapter.about)
        yield from _overview(families(chapter.kind), link)


def _overview(found: Families, link: Callable[[str], str]) -> Iterator[str]:
    """A table for each family, whose names link to where a method is described."""
    for family, entries in found.items():
        rows = (
            [f"[{code(one.name)}]({link(one.name)})", prose(one.summary), one.published]
            for one in entries
        )
        if any(one.published for one in entries):
            yield table([family, "", "published"], rows)
        else:
            yield table([family, ""], (row[:2] for row in rows))


def _sections(chapters: tuple[Chapter, ...] | list[Chapter]) -> Iterator[str]:
    for chapter in chapters:
        for family, entries in families(chapter.kind).items():
            yield f"## {family}"
            for entry in entries:
                yield from (f"### {entry.name}", section(entry))
