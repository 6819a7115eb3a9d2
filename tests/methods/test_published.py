"""The contract of the note `Published:`: stated, true of the defaults, and tested."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from forethought import catalogue
from forethought.catalogue import Entry
from forethought.contracts.parameters import settings_of
from forethought.contracts.published import PROTECT
from forethought.contracts.sources import LEGEND, SOURCES
from forethought.recipes.published import FREE, published
from forethought.reports.published import mark
from tests.methods.published_claims import CLAIMS, UNFINISHED

ROOT = Path(__file__).parents[2]
KINDS: tuple[catalogue.Kind, ...] = ("methods", "strategies", "scorers")
ENTRIES = {name: entry for kind in KINDS for name, entry in catalogue.entries(kind).items()}
AS_PUBLISHED = sorted(name for name, one in ENTRIES.items() if one.published in ("paper", "code"))


def described(entry: Entry) -> str:
    """What the note says behind its first word."""
    return entry.notes["Published"].partition(";")[2].strip()


@pytest.mark.parametrize("name", ENTRIES)
def test_every_method_says_whether_it_is_as_published(name: str) -> None:
    entry = ENTRIES[name]

    assert entry.published in SOURCES, entry.notes.get("Published")
    assert bool(described(entry)) == (entry.published != "baseline")
    if entry.published in ("paper", "code"):
        assert entry.notes["Paper"]


def test_claims_are_those_of_the_catalogue() -> None:
    assert sorted(CLAIMS) == AS_PUBLISHED


@pytest.mark.parametrize("name", sorted(set(ENTRIES) - UNFINISHED))
def test_a_method_of_ours_has_a_name_that_no_paper_gave_it(name: str) -> None:
    """Its note says which: a name of its own, or a general one, such as `beam`."""
    first = ENTRIES[name].notes["Published"].partition(";")[0]

    assert ENTRIES[name].published != "ours" or first in ("ours (own name)", "ours (general name)")


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_published_settings_are_the_defaults(name: str) -> None:
    """Every setting is claimed, so that a new one cannot change a published method unseen."""
    settings = settings_of(ENTRIES[name].load())
    defaults = {one.name: one.default for one in settings if one.name not in {*FREE, PROTECT}}

    assert repr(defaults) == repr({key: CLAIMS[name].settings.get(key) for key in defaults})
    assert set(CLAIMS[name].settings) == set(defaults)


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_a_published_method_has_a_test_against_a_reference(name: str) -> None:
    path, test = CLAIMS[name].test.split("::")
    source = (ROOT / path).read_text()

    functions = {
        one.name for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef)
    }
    assert test in functions
    assert ENTRIES[name].class_name in source


def test_the_readmes_table_says_whether_each_row_is_as_published() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme.partition("## Measured")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if "`" in line]
    rows = [row for row in rows if len(row) == 3 and row[0] != "---"]

    named = set()
    for what, result, stated in rows:
        calls = re.findall(r"`(([a-z][\w-]*)(?:\([^`@]*\))?(@[\w-]+)?)`", what + result)
        methods = {name + scorer: call for call, name, scorer in calls if name in ENTRIES}
        words = dict(part.rsplit(" ", 1) for part in stated.split(", ")) if methods else {}
        assert words == {name: _mark(name, call) for name, call in methods.items()}, what
        named |= set(methods)
    assert {"specpc-shallow", "speckv", "majority-vote", "best-of-n@self-judge"} <= named


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md", "docs/methods.md"])
def test_pages_have_one_legend(page: str) -> None:
    assert LEGEND in " ".join((ROOT / page).read_text().split())


def _mark(name: str, call: str) -> str:
    ranked = f"m@best-of-n@{call}"
    parts = {"search": f"m@{call}", "scoring": ranked, "confidence": ranked}
    return mark(published(parts.get(ENTRIES[name.partition("@")[0]].family, f"m+{call}")))
