"""Texts of others as Markdown."""

from __future__ import annotations

import pytest

from forethought.reports.markdown import code, plain


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("snapkv(keep=512)", "`snapkv(keep=512)`"),
        ("a|b", "`a\\|b`"),
        ("one ` in it", "`` one ` in it ``"),
        ("two `` in it", "``` two `` in it ```"),
        ("`` and `", "``` `` and ` ```"),
        ("line\nand \x1b", "`line and \\x1b`"),
    ],
)
def test_code_ends_where_its_fence_does(text: str, written: str) -> None:
    assert code(text) == written


def test_plain_text_is_one_line_without_signs() -> None:
    assert plain("# <b>\n* [a](b) | ~~c~~ &amp; \\_`\x9b") == (
        "\\# \\<b\\> \\* \\[a\\](b) \\| \\~\\~c\\~\\~ \\&amp; \\\\\\_\\`\\\\x9b"
    )
