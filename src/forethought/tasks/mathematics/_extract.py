"""Where in an answer its final answer stands."""

from __future__ import annotations

import re

_ANNOUNCED = re.compile(r"\banswer\s*(?:is\b|:|=)[\s:*]*", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?:(?<![\w)])[-\u2212])?[$£€]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:/\d+)?%?|\.\d+%?"
)


_BOX = re.compile(r"\\(?:f?boxed|fbox)\s*\{")


def final(answer: str) -> str:
    """The last boxed text, else what follows ####, else what is announced, else the last number.

    Empty where there is none of these.
    """
    boxes = boxed(answer)
    if boxes:
        return boxes[-1].strip()
    if "####" in answer:
        return answer.rpartition("####")[2].strip().partition("\n")[0].strip()
    announced = list(_ANNOUNCED.finditer(answer))
    if announced:
        return _statement(answer[announced[-1].end() :])
    numbers = numbers_in(answer)
    return numbers[-1] if numbers else ""


def boxed(answer: str) -> list[str]:
    """What stands in each closed \\boxed{...}, outermost boxes only."""
    found: list[str] = []
    position = 0
    while opening := _BOX.search(answer, position):
        end = _closing(answer, opening.end())
        position = opening.end() if end is None else end + 1
        if end is not None:
            found.append(answer[opening.end() : end])
    return found


def numbers_in(text: str) -> list[str]:
    """The numbers of a text as they are written, thousands' commas and fractions included."""
    return [found[0] for found in _NUMBER.finditer(text)]


def _closing(text: str, start: int) -> int | None:
    depth = 1
    for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.start()
    return None


def _statement(text: str) -> str:
    """The formula that text begins with, or else its first sentence."""
    line = text.strip().partition("\n")[0]
    formula = re.match(
        r"\$\$?(?!\d+(?:[.,]\d+)*(?![\d$]))(.+?)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", line
    )
    if formula:
        return next(part for part in formula.groups() if part).strip()
    return re.split(r"[.!?;](?:\s|\*|$)", line, maxsplit=1)[0].strip(" *")
