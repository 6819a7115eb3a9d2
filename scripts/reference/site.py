"""MkDocs hooks: the generated pages of the site, and links that hold there.

README.md, AGENTS.md and CHANGELOG.md lie beside docs/ in the repository and are pages of the
site. Links to source files have no page, so the site shows their text alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import join, normpath
from typing import TYPE_CHECKING, Any

from scripts.reference.methods import CHAPTERS, families, method_pages, overview_page

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[2]
OUTSIDE = {"README.md": "index.md", "AGENTS.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the repository's root and their pages on the site."""
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the method pages into the navigation, by chapter and family."""
    navigation: list[Any] = config.nav or []
    for chapter in CHAPTERS:
        groups = [
            {family: [f"methods/{entry.name}.md" for entry in entries]}
            for family, entries in families(chapter.kind).items()
        ]
        pages = groups if len(groups) > 1 else next(iter(groups[0].values()))
        navigation.append({chapter.title: pages})
    config.nav = navigation
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages; the list of methods takes the place of the committed page."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        if committed := files.get_file_from_path(path):
            files.remove(committed)
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Mend the links of a page that lies in docs/."""
    return with_links(markdown, "docs") if page.file.generated_by is None else markdown


def pages() -> dict[str, str]:
    """Every page that does not lie in docs/, by its path on the site."""
    root = {page: (ROOT / file).read_text(encoding="utf-8") for file, page in OUTSIDE.items()}
    linked = {page: with_links(text, "") for page, text in root.items()}
    return linked | {"methods.md": overview_page()} | method_pages()


def with_links(text: str, folder: str) -> str:
    """The text of a file in `folder`, with links that hold on the site."""

    def mended(link: re.Match[str]) -> str:
        label, target, anchor = link[1], normpath(join(folder, link[2])), link[3] or ""
        target = OUTSIDE.get(target, target.removeprefix("docs/") if _in_docs(target) else "")
        return f"[{label}]({target}{anchor})" if target else label

    return _LINK.sub(mended, text)


def _in_docs(target: str) -> bool:
    return target.startswith("docs/")
