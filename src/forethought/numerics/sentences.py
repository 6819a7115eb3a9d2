"""Sentence splitting by punctuation and line breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 1000
"""Longest sentence in characters; longer ones are cut, at a space if there is one."""

# A full stop after an initial or a title ends no sentence. Neither does a full stop or a line
# break before a lower-case letter.
_END = re.compile(
    r"""(?:\n\s*\n\s*
    | \n\s*(?![a-z\s])
    | (?<!\b[A-Z]\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bMrs\.)(?<!\bvs\.)
      (?<=[.!?])["'”’)\]]*\s+(?![a-z\s])
    | (?<=[。！？])["”’」』）]*\s*
    )""",  # noqa: RUF001  (full-width marks end sentences)
    re.VERBOSE,
)


def sentences(text: str) -> list[tuple[int, int]]:
    """Character ranges of the sentences, which cover `text` without gaps.

    A sentence includes the whitespace after it.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for stop in [*(end.end() for end in _END.finditer(text)), len(text)]:
        if text[start:stop].strip():
            found += _cut(text, start, stop)
            start = stop
        elif found:
            found[-1] = (found[-1][0], stop)
            start = stop
    return found or ([(0, len(text))] if text else [])


def _cut(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    while stop - start > LONGEST:
        space = text.rfind(" ", start + 1, start + LONGEST)
        cut = space + 1 if space > 0 else start + LONGEST
        yield start, cut
        start = cut
    yield start, stop
