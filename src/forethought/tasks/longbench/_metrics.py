"""LongBench's metrics of an answer against one reference, from 0 to 1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Literal

from forethought.tasks.longbench._rouge import rouge_l

Metric = Literal["f1", "rouge-l", "code", "classification", "retrieval", "count"]
Segment = Callable[[str], Sequence[str]]
"""Splits a text without spaces into words."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PARAGRAPH = re.compile(r"(?:Paragraph |段落)(\d+)")
_NUMBER = re.compile(r"\d+")
_LATIN_SIGNS = str.maketrans("", "", string.punctuation)
_CHINESE_SIGNS = re.compile(
    f"[{re.escape(string.punctuation)}"
    "\u2013\u2014\u2018\u2019\u201b-\u201f\u2026\u2027"
    "\u3001-\u3003\u300b-\u3011\u3014-\u301f\u3030\u303e\u303f"
    "\ufe4f\uff01-\uff0d\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff64]"
)
"""LongBench's list. It lacks the full-width full stop, 〈, 〉 and 《, so these count as text."""


def score(
    metric: Metric, answer: str, reference: str, segment: Segment | None, classes: Sequence[str]
) -> float:
    """The metric of an answer against a reference; `segment` is for Chinese."""
    match metric:
        case "f1":
            return _f1(normalised(answer, segment), normalised(reference, segment))
        case "rouge-l":
            return rouge_l(_spaced(answer, segment), _spaced(reference, segment))
        case "code":
            return _code(answer, reference)
        case "classification":
            return _classification(answer, reference, classes)
        case "retrieval":
            return _share(answer, paragraph(reference))
        case "count":
            return _share(answer, reference)


def normalised(text: str, segment: Segment | None = None) -> list[str]:
    """Lower-case words without articles and ASCII punctuation; Chinese words without signs."""
    if segment is None:
        return _ARTICLES.sub(" ", text.lower().translate(_LATIN_SIGNS)).split()
    plain = ("".join(_CHINESE_SIGNS.sub("", word.lower()).split()) for word in segment(text))
    return [word for word in plain if word]


def paragraph(reference: str) -> str:
    """The number of the paragraph that a reference names; empty if it names none."""
    found = _PARAGRAPH.search(reference)
    return found[1] if found else ""


def _spaced(text: str, segment: Segment | None) -> str:
    return text if segment is None else " ".join(segment(text))


def _f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted)) if shared else 0.0


def _code(answer: str, reference: str) -> float:
    """Similarity of the first line of code, to whole percents.

    The published scorer computes the ratio of `difflib` unless a further package is installed.
    """
    lines = answer.lstrip("\n").split("\n")
    code = next((line for line in lines if not any(sign in line for sign in ("`", "#", "//"))), "")
    return round(100 * SequenceMatcher(None, code, reference).ratio()) / 100


def _classification(answer: str, reference: str, classes: Sequence[str]) -> float:
    """1 over the number of named classes if the right class is among them, else 0.

    A class whose name is a part of the right one does not count. The published loop skips the
    class that follows a removed one, so such a class counts.
    """
    named = [one for one in classes if one in answer]
    place = 0
    while place < len(named):
        if named[place] != reference and named[place] in reference:
            named.remove(named[place])
        place += 1
    return 1 / len(named) if reference in named else 0.0


def _share(answer: str, number: str) -> float:
    """The share of the answer's numbers that equal this one."""
    numbers = _NUMBER.findall(answer)
    return numbers.count(number) / len(numbers) if numbers else 0.0
