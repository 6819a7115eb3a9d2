"""LongBench's metrics against the published ones written out."""

from itertools import combinations
from random import Random

import pytest

from forethought.tasks.longbench._metrics import Metric, normalised, score
from forethought.tasks.longbench._rouge import common_subsequence
from tests.tasks.longbench import published_scorer as published

LATIN = ["The", "a", "an", "cat", "Cat's", "sat", "mat", "the-end", "x\u2013the", "3.5", "."]
LATIN += [". ", "..", "\n", "\t", "É", "3", "\uff17", "a_the", "\u3000", "theatre", "«the»"]
CHINESE = ["北京", "大学", "。", "\uff0e", "\uff0c", "《书》", "〈", "A", "a", ".", " ", "\n"]
CHINESE += ["\uff13", "\ufe4f", "…"]
CODE = ["def ", "x", "y = ", "return ", "\n", "# so\n", "```\n", "//", "(", ")", "  "]


def text(random: Random, pieces: list[str], most: int = 12) -> str:
    between = random.choice(["", " "])
    return between.join(random.choices(pieces, k=random.randint(0, most)))


def pairs(pieces: list[str], seed: int, count: int = 300) -> list[tuple[str, str]]:
    random = Random(seed)
    return [(text(random, pieces), text(random, pieces)) for _ in range(count)]


def test_word_f1_is_the_published_one() -> None:
    for answer, reference in pairs(LATIN, 0):
        expected = published.f1(published.words(answer), published.words(reference))

        assert normalised(answer) == published.words(answer)
        assert score("f1", answer, reference, None, []) == pytest.approx(expected)


def test_f1_of_chinese_words_is_the_published_one() -> None:
    for answer, reference in pairs(CHINESE, 1):
        given, wanted = (published.chinese_words(list(of)) for of in (answer, reference))

        assert normalised(answer, list) == given
        expected = published.f1(given, wanted)
        assert score("f1", answer, reference, list, []) == pytest.approx(expected)


def test_the_chinese_signs_are_the_published_ones() -> None:
    for sign in map(chr, range(0x10000)):
        expected = published.chinese_words([sign])

        assert normalised(sign, lambda whole: [whole]) == expected, hex(ord(sign))


def test_rouge_l_is_the_published_one() -> None:
    for answer, reference in pairs(LATIN, 2):
        expected = published.rouge_l(answer, reference)

        assert score("rouge-l", answer, reference, None, []) == pytest.approx(expected, abs=1e-12)


def test_rouge_l_of_chinese_joins_words_by_spaces() -> None:
    for answer, reference in pairs(CHINESE, 3):
        expected = published.rouge_l(" ".join(answer), " ".join(reference))

        assert score("rouge-l", answer, reference, list, []) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("b a. c", "a b c", 2 / 3),  # {c} and either a or b of the first sentence: 2 of 3 words
        ("cat cat cat", "cat", 1),  # distinct words count
        ("cat. ", "cat", 2 / 3),  # blank text behind a full stop is one more word
        ("...", "cat", 0),
        ("", "cat", 0),
    ],
)
def test_odd_cases_of_rouge_l(answer: str, reference: str, expected: float) -> None:
    assert score("rouge-l", answer, reference, None, []) == pytest.approx(expected, abs=1e-7)


def test_code_similarity_is_the_published_one() -> None:
    for answer, reference in pairs(CODE, 4, 150):
        assert score("code", answer, reference, None, []) == published.code(answer, reference)


def test_frequent_signs_of_long_lines_begin_no_match() -> None:
    reference = "".join(Random(5).choices("abcdefgh =()", k=210)) + "zq"
    answers = ["abcdefgh", reference[100:130] + "zq", reference, reference[::-1]]

    for answer in answers:
        assert score("code", answer, reference, None, []) == published.code(answer, reference)
    assert score("code", "abcdefgh", reference, None, []) == 0


def test_classes_are_the_published_ones() -> None:
    random = Random(6)
    for _ in range(300):
        classes = random.sample(["a", "b", "ab", "abc", "bc", "c", "d", "cd"], k=6)
        answer, reference = text(random, ["a", "b", "c", "d"], 6), random.choice(classes)
        expected = published.classification(answer, reference, classes)

        assert score("classification", answer, reference, None, classes) == expected


def test_a_class_behind_a_removed_class_stays() -> None:
    classes = ["a", "b", "abc"]

    assert score("classification", "abc", "abc", None, classes) == 1 / 2
    assert score("classification", "abc", "abc", None, ["a", "abc", "b"]) == 1


@pytest.mark.parametrize(
    ("metric", "reference", "number"),
    [
        ("count", "3", "3"),
        ("count", "3 ", "3 "),
        ("retrieval", "Paragraph 3", "3"),
        ("retrieval", "In 13, Paragraph 3 of 7", "3"),
        ("retrieval", "段落3", "3"),
    ],
)
def test_numbers_are_the_published_ones(metric: Metric, reference: str, number: str) -> None:
    for answer, _ in pairs(["3", "13", "03", "\uff13", ".", " ", "Paragraph"], 7, 60):
        expected = published.share(answer, number)

        assert score(metric, answer, reference, None, []) == expected


def test_a_common_subsequence_is_as_long_as_by_enumeration() -> None:
    random = Random(0)
    for _ in range(40):
        one, other = (random.choices("abc", k=random.randint(0, 7)) for _ in range(2))
        subsequences = [
            {
                tuple(of[i] for i in kept)
                for n in range(8)
                for kept in combinations(range(len(of)), n)
            }
            for of in (one, other)
        ]
        found = common_subsequence(one, other)

        assert tuple(found) in subsequences[0] & subsequences[1]
        assert len(found) == max(map(len, subsequences[0] & subsequences[1]))
        assert found == published.lcs_words(one, other)
