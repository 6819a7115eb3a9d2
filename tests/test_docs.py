"""The documents: generated pages are fresh, links lead somewhere, and maps show real folders."""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path

import pytest

from forethought import catalogue
from forethought.catalogue import Kind, MethodFile
from forethought.cli.grammar import Verb
from forethought.cli.main import VERBS
from scripts.reference import commands, markdown, measured, methods, site
from scripts.reference.__main__ import COMMITTED

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "forethought"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
KINDS: tuple[Kind, ...] = ("methods", "strategies", "scorers")
LINK = re.compile(r"\]\(([^)\s]+)\)")
METHOD = '''"""Keep what shines.

Paper: A study of shining, arXiv:2506.08373 (2025)
Exact: at keep=1.0.
Cost: a | b.
"""

from dataclasses import dataclass

from forethought.contracts.parameters import Count


@dataclass(frozen=True)
class Shine:
    """Shines."""

    keep: Count = 512
    """Entries_kept * here."""
'''


@pytest.mark.parametrize("name", COMMITTED)
def test_a_generated_page_is_fresh(name: str) -> None:
    fresh = (DOCS / name).read_text(encoding="utf-8") == COMMITTED[name]()

    assert fresh, f"docs/{name} is out of date: run scripts/docs"


@pytest.mark.parametrize(
    ("old", "new"), [("shines.", "glows."), ("512", "256"), ("Entries_kept", "Kept")]
)
def test_a_section_changes_with_its_docstring_and_parameters(
    tmp_path: Path, old: str, new: str
) -> None:
    def section(place: str, source: str) -> str:
        family = tmp_path / place / "care"
        family.mkdir(parents=True)
        (family / "shine.py").write_text(source)
        entries = catalogue.catalogued([MethodFile("acme.methods", family.parent)])
        return methods.section(entries["shine"])

    before, after = section("before", METHOD), section("after", METHOD.replace(old, new))

    assert before != after
    assert new.replace("_", "\\_") in after


def test_a_section_shows_the_record_and_the_parameters(tmp_path: Path) -> None:
    (tmp_path / "care").mkdir()
    (tmp_path / "care" / "shine.py").write_text(METHOD)
    entry = catalogue.catalogued([MethodFile("acme.methods", tmp_path)])["shine"]

    assert methods.section(entry).splitlines() == [
        "Keep what shines.",
        "",
        "- **Paper:** A study of shining, "
        "[arXiv:2506.08373](https://arxiv.org/abs/2506.08373) (2025)",
        "- **Exact:** at keep=1.0.",
        "- **Cost:** a | b.",
        "",
        "| parameter | default | values | meaning |",
        "| --- | --- | --- | --- |",
        "| `keep` | `512` | a whole number, 1 or more | Entries\\_kept \\* here. |",
    ]


@pytest.mark.parametrize("change", [{"help": "Another text."}, {"default": 77}])
def test_the_command_line_page_changes_with_an_option(change: dict[str, object]) -> None:
    ask = commands.tables()["ask"]
    changed = tuple(
        one._replace(**change) if one.name == "max_tokens" else one for one in ask.options
    )

    page = commands.of(VERBS, {"ask": ask._replace(options=changed)}, [])

    assert page != commands.of(VERBS, {"ask": ask}, [])
    assert str(next(iter(change.values()))) in page


def test_the_command_line_page_lists_every_option_of_every_verb() -> None:
    for name, verb in commands.tables().items():
        page = commands.of(VERBS, {name: verb}, [])
        assert all(f"`{spelled}`" in page for spelled in spellings(verb)), name


def spellings(verb: Verb) -> list[str]:
    return [spelled for option in verb.takes.values() for spelled in option.spellings]


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_has_a_page_with_its_record(kind: Kind) -> None:
    pages = site.pages()

    for name, entry in catalogue.entries(kind).items():
        page = pages[f"methods/{name}.md"]
        assert page.startswith(f"# {name}\n")
        assert all(f"- **{note}:**" in page for note in entry.notes), name
        assert all(f"| `{parameter.name}` |" in page for parameter in entry.parameters), name
        assert f"(methods/{name}.md)" in pages["methods.md"]


def test_every_measured_recipe_stands_on_the_pages_of_its_methods() -> None:
    pages = methods.method_pages()
    shown = 0

    for file in measured.RESULTS.glob("*.csv"):
        with file.open(encoding="utf-8", newline="") as opened:
            for row in csv.DictReader(opened):
                if row.get("read_tokens") or "tflop" in row:
                    for name in measured.names_in(row["recipe"]) - {"draft"}:
                        text = markdown.table([], [[markdown.code(row["recipe"])]])
                        assert text.splitlines()[-1][2:-2] in pages[f"methods/{name}.md"], row
                        shown += 1

    assert shown > 1000


def test_measured_figures_are_those_of_the_file() -> None:
    compared, searched = methods.method_pages()["methods/snapkv.md"], measured.rows_of("rpc")[0]

    assert (
        "| `ruler-2k-qwen-coder-1.5b` | `qwen-coder-1.5b+snapkv(keep=256)` | 130 "
        "| 41.8 (36.5 to 47.9) | -39.2 (-44.5 to -32.6) | 2,018 | 7.0 | 1.00 |"
    ) in compared
    assert (
        "| gsm8k | `qwen-coder-0.5b@rpc(n=8, prune_by=texts, prune_from=16) --weights=bf16 "
        "--budget=2.6TFLOP` | 40 | 35 | 2,237 | 2.23 |"
    ) in searched
    assert "| gsm8k | `qwen-coder-0.5b --weights=bf16` | 40 | 22 | 391 | 0.36 |" in searched


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    """The names that headings go by in links."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_on_the_site_lead_to_its_pages() -> None:
    pages = site.pages()
    names = {*pages, *(file.name for file in DOCS.iterdir())}

    for page in ("index.md", "contributing.md", "changelog.md"):
        linked = {target.partition("#")[0] for target in LINK.findall(pages[page])}
        assert {one for one in linked if "://" not in one} <= {*names, ""}, page
    assert site.with_links("[a](../AGENTS.md#b) [c](../src/x.py) ![d](e.svg)", "docs") == (
        "[a](contributing.md#b) c ![d](e.svg)"
    )


@pytest.mark.parametrize("page", ["AGENTS.md", "docs/architecture.md"])
def test_the_maps_show_the_folders_and_the_arrows(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    folders = [one.name for one in SOURCE.iterdir() if (one / "__init__.py").exists()]

    map_of_folders = text[text.index("src/forethought/\n") :].partition("```")[0]

    assert set(re.findall(r"^[├└]── (\w+)/", map_of_folders, re.MULTILINE)) == set(folders)
    assert " → ".join(layers) in " ".join(text.split())


@pytest.mark.parametrize("page", ["AGENTS.md", "docs/architecture.md", "docs/life-of-a-request.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    """Code spans such as `cost/leases.py`, from the repository's root or the package's folder."""
    text = (ROOT / page).read_text(encoding="utf-8")

    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?)`", text))

    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists() and not in_source(name)] == []


def in_source(name: str) -> bool:
    """Whether a file or folder of the package is meant, also one deeper down (`importance/`)."""
    return (SOURCE / name).exists() or any(SOURCE.glob(f"**/{name}"))
