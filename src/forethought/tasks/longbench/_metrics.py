"""LongBench's metrics of an answer against one reference, from 0 to 1."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

Metric = Literal["f1", "rouge-l", "code", "classification", "retrieval", "count"]

_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]|[\u3000-\u303f\uff00-\uffef]")


def score(
    metric: Metric, answer: str, reference: str, chinese: bool, classes: Sequence[str]
) -> float:
    """The metric of an answer against a reference."""
    if metric == "classification":
        return _classification(answer, reference, classes)
    if metric in _OF_WORDS:
        return _OF_WORDS[metric](answer, reference, chinese)
    return _OF_TEXT[metric](answer, reference)


def normalised(text: str, chinese: bool) -> list[str]:
    """Lower-case words without articles and punctuation; characters for Chinese."""
    plain = _PUNCTUATION.sub("", text.lower())
    if chinese:
        return list(re.sub(r"\s+", "", plain))
    return [word for word in plain.split() if word not in ("a", "an", "the")]


def common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyrö 2004).

    Bit n of `rises` is 0 if the table's row rises after item n.
    """
    short, long = sorted((one, other), key=len)
    places: dict[str, int] = {}
    for place, item in enumerate(short):
        places[item] = places.get(item, 0) | 1 << place
    whole = (1 << len(short)) - 1
    rises = whole
    for item in long:
        matched = rises & places.get(item, 0)
        rises = (rises + matched | rises - matched) & whole
    return len(short) - rises.bit_count()


def _f1(answer: str, reference: str, chinese: bool) -> float:
    given, wanted = normalised(answer, chinese), normalised(reference, chinese)
    return _harmonic(sum((Counter(given) & Counter(wanted)).values()), len(given), len(wanted))


def _rouge_l(answer: str, reference: str, chinese: bool) -> float:
    """ROUGE-L over the whole text; LongBench's package joins the matches of sentences."""
    given, wanted = (
        list("".join(text.split())) if chinese else text.split() for text in (answer, reference)
    )
    return _harmonic(common_length(given, wanted), len(given), len(wanted))


def _harmonic(shared: int, given: int, wanted: int) -> float:
    return 2 * shared / (given + wanted) if shared else 0.0


def _code(answer: str, reference: str) -> float:
    """Edit similarity of the first line of code: twice the LCS over the sum of lengths."""
    lines = answer.lstrip("\n").split("\n")
    code = next((line for line in lines if not any(sign in line for sign in ("`", "#", "//"))), "")
    return _harmonic(common_length(code, reference), len(code), len(reference))


def _classification(answer: str, reference: str, classes: Sequence[str]) -> float:
    """1 over the number of named classes if the right class is among them, else 0."""
    named = [one for one in classes if one in answer]
    named = [one for one in named if one == reference or one not in reference]
    return 1 / len(named) if reference in named else 0.0


def _retrieval(answer: str, reference: str) -> float:
    return _count(answer, "".join(re.findall(r"\d+", reference)[:1]))


def _count(answer: str, reference: str) -> float:
    """The share of the answer's numbers that equal the reference."""
    numbers = re.findall(r"\d+", answer)
    return numbers.count(reference.strip()) / len(numbers) if numbers else 0.0


_OF_WORDS: Mapping[str, Callable[[str, str, bool], float]] = {"f1": _f1, "rouge-l": _rouge_l}
_OF_TEXT: Mapping[str, Callable[[str, str], float]] = {
    "code": _code,
    "retrieval": _retrieval,
    "count": _count,
}
