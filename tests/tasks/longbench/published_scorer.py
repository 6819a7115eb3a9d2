"""LongBench's published metrics, written out from their definitions with plain loops."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

ZH_SIGNS = set(
    string.punctuation
    + "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃"  # noqa: RUF001
    "》「」『』【】〔〕〖〗〘〙〚〛"  # noqa: RUF001
    "〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏"  # noqa: RUF001
)


def words(text: str) -> list[str]:
    """Lower case, ASCII signs deleted, articles between word boundaries blanked, split."""
    kept = "".join(sign for sign in text.lower() if sign not in string.punctuation)
    runs, run = [], ""
    for sign in [*kept, " "]:
        if sign.isalnum() or sign == "_":
            run += sign
        else:
            runs += [" " if run in ("a", "an", "the") else run, sign]
            run = ""
    return "".join(runs).split()


def chinese_words(pieces: Sequence[str]) -> list[str]:
    kept = [
        "".join(sign for sign in piece.lower() if sign not in ZH_SIGNS and not sign.isspace())
        for piece in pieces
    ]
    return [piece for piece in kept if piece]


def f1(given: list[str], wanted: list[str]) -> float:
    left, shared = list(wanted), 0
    for word in given:
        if word in left:
            left.remove(word)
            shared += 1
    if shared == 0:
        return 0.0
    precision, recall = shared / len(given), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)


def lcs_words(one: list[str], other: list[str]) -> list[str]:
    """By the whole table, walked back from its end; a tie shortens the second sequence."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, first in enumerate(one, start=1):
        for j, second in enumerate(other, start=1):
            longest = max(table[i - 1][j], table[i][j - 1])
            table[i][j] = table[i - 1][j - 1] + 1 if first == second else longest
    found: list[str] = []
    i, j = len(one), len(other)
    while i > 0 and j > 0:
        if one[i - 1] == other[j - 1]:
            found, i, j = [one[i - 1], *found], i - 1, j - 1
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found


def rouge_l(answer: str, reference: str) -> float:
    """Over sets of words; each pair of sentences adds the words of its common subsequence."""
    split = [
        [" ".join(part.split()).split(" ") for part in text.split(".") if len(part) > 0]
        for text in (answer, reference)
    ]
    if not all(split):
        return 0.0
    union: set[str] = set()
    for wanted in split[1]:
        for given in split[0]:
            union |= set(lcs_words(wanted, given))
    all_given = {word for one in split[0] for word in one}
    all_wanted = {word for one in split[1] for word in one}
    precision, recall = len(union) / len(all_given), len(union) / len(all_wanted)
    return 2 * (precision * recall / (precision + recall + 1e-8))


def matched(a: str, b: str, may_begin: Callable[[str], bool]) -> int:
    """Signs in the longest common block, leftmost in a and then in b, and beside it."""
    best = (0, 0, 0)
    for i in range(len(a)):
        for j in range(len(b)):
            size = 0
            while (
                i + size < len(a)
                and j + size < len(b)
                and a[i + size] == b[j + size]
                and may_begin(a[i + size])
            ):
                size += 1
            if size > best[0]:
                best = (size, i, j)
    size, i, j = best
    while i > 0 and j > 0 and a[i - 1] == b[j - 1]:
        size, i, j = size + 1, i - 1, j - 1
    while i + size < len(a) and j + size < len(b) and a[i + size] == b[j + size]:
        size += 1
    if size == 0:
        return 0
    before = matched(a[:i], b[:j], may_begin)
    return size + before + matched(a[i + size :], b[j + size :], may_begin)


def code(answer: str, reference: str) -> float:
    """Matching blocks of the first line without a mark of prose, in whole percents."""
    line = ""
    for one in answer.lstrip("\n").split("\n"):
        if "`" not in one and "#" not in one and "//" not in one:
            line = one
            break
    if line == reference:
        return 1.0

    def may_begin(sign: str) -> bool:
        """Frequent signs of a long reference begin no block."""
        return len(reference) < 200 or reference.count(sign) <= len(reference) // 100 + 1

    signs = len(line) + len(reference)
    return round(100 * 2 * matched(line, reference, may_begin) / signs) / 100


def classification(answer: str, reference: str, classes: Sequence[str]) -> float:
    """The list shrinks under the loop that removes from it, so the next class is passed over."""
    named = [one for one in classes if one in answer]
    for one in named:
        if one in reference and one != reference:
            named.remove(one)
    return 1 / len(named) if reference in named else 0.0


def share(answer: str, number: str) -> float:
    spaced = "".join(sign if sign.isdecimal() else " " for sign in answer)
    numbers = spaced.split()
    return sum(one == number for one in numbers) / len(numbers) if numbers else 0.0
