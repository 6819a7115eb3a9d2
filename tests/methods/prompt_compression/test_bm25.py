import math

import numpy as np
import pytest

from forethought.contracts.errors import BudgetTooSmallError, UsageError
from forethought.contracts.records import Prompt
from forethought.methods.prompt_compression.bm25 import BM25
from forethought.numerics.bm25 import bm25, words
from forethought.numerics.sentences import LONGEST, sentences
from tests.methods.prompt_compression.questions import CLOSING, TEMPLATE, asked

DOCUMENT = "A cat sat. The dog ran far away. Dogs bark! A cat and a cat ran. Birds sing."
QUESTION = "Which cat ran?"


def by_hand(question, texts, k1, b):
    """The published sum, one word of one text at a time."""
    split = [words(text) for text in texts]
    average = sum(map(len, split)) / len(split)
    scores = []
    for text in split:
        score = 0.0
        for word in words(question):
            holding = sum(word in other for other in split)
            rarity = math.log((len(texts) - holding + 0.5) / (holding + 0.5) + 1)
            count = text.count(word)
            score += (
                rarity * count * (k1 + 1) / (count + k1 * (1 - b + b * len(text) / average) or 1)
            )
        scores.append(score)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (1.5, 0.0), (0.0, 1.0)])
def test_scores_equal_the_published_sum(k1, b):
    texts = [DOCUMENT[slice(*place)] for place in sentences(DOCUMENT)]

    scores = bm25("Which cat, cat or dog ran?", texts, k1, b)

    assert scores == pytest.approx(by_hand("Which cat, cat or dog ran?", texts, k1, b))
    assert np.count_nonzero(scores) == 3


def test_texts_without_a_shared_word_or_any_word_score_nothing():
    assert bm25("bees", ["a cat", "..."], 1.2, 0.75).tolist() == [0.0, 0.0]
    assert bm25("bees", ["", ""], 1.2, 0.75).tolist() == [0.0, 0.0]
    assert bm25("bees", [], 1.2, 0.75).tolist() == []


def test_scripts_without_spaces_match_by_character():
    assert words("Die 猫は寝る, ok") == ["die", "猫", "は", "寝", "る", "ok"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("Dr. J. Doe paid 3.50 e.g. twice. Then left.",
         ["Dr. J. Doe paid 3.50 e.g. twice. ", "Then left."]),
        ('She said "Go." He went.', ['She said "Go." ', "He went."]),
        ("Title\nA line\nthat goes on\n\nend", ["Title\n", "A line\nthat goes on\n\n", "end"]),
        ("猫がいる。犬もいる。", ["猫がいる。", "犬もいる。"]),
        ("\n\n One. ", ["\n\n One. "]),
        (" \n", [" \n"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_would_end_them(text, expected):
    assert [text[a:b] for a, b in sentences(text)] == expected


def test_a_text_without_sentence_ends_is_cut_at_spaces_or_else_anywhere():
    spaced, solid = "word " * 500, "x" * (2 * LONGEST + 1)

    assert all(text[a:b].endswith("word ") for text in [spaced] for a, b in sentences(spaced))
    for text in (spaced, solid):
        ranges = sentences(text)
        assert "".join(text[a:b] for a, b in ranges) == text
        assert max(b - a for a, b in ranges) <= LONGEST


def test_the_best_sentences_stay_whole_in_their_order_beside_the_question():
    prompt = asked(QUESTION, DOCUMENT)
    must_stay = len(prompt.protected)

    kept = BM25(keep=must_stay + 10).on_prompt(prompt, None, 16)

    # "A cat and a cat ran." takes 7 tokens and "The dog ran far away." no longer fits the 3
    # left; "Dogs bark!" matches nothing, but comes before the last sentence that fits.
    assert kept.text == f"{TEMPLATE} Dogs bark! A cat and a cat ran.\n\n{QUESTION}{CLOSING}"
    assert kept.content_text == f" Dogs bark! A cat and a cat ran.\n\n{QUESTION}"
    assert len(kept) == must_stay + 10


@pytest.mark.parametrize("keep", range(6, 34))
def test_no_budget_is_exceeded_and_sentences_stay_whole(keep):
    prompt = asked(QUESTION, DOCUMENT)
    if keep < len(prompt.protected):
        with pytest.raises(BudgetTooSmallError, match=f"bm25 keeps {keep} tokens"):
            BM25(keep=keep).on_prompt(prompt, None, 16)
        return

    kept = BM25(keep=keep).on_prompt(prompt, None, 16)

    assert len(kept) <= keep
    document = kept.content_text.removesuffix(f"\n\n{QUESTION}")
    whole = {DOCUMENT[a:b].strip() for a, b in sentences(DOCUMENT)}
    assert {document[a:b].strip() for a, b in sentences(document)} <= whole


def test_white_space_of_its_own_goes_with_the_sentence_behind_it():
    texts = ["A cat.", "\n\n", "No.", "\n\n", "The cat.", "\n\nA cat?"]
    stops = np.cumsum([len(text) for text in texts]).tolist()
    spans = tuple(zip([0, *stops[:-1]], stops, strict=True))
    prompt = Prompt(tuple(range(6)), spans, "".join(texts), frozenset({5}), content=(0, stops[-1]))

    kept = BM25(keep=4).on_prompt(prompt, None, 16)

    assert kept.content_text == "A cat.\n\nThe cat.\n\nA cat?"


def test_equal_scores_go_to_the_earlier_sentence():
    prompt = asked("What of bees?", "One cat. Two cat. Red cat.")

    kept = BM25(keep=len(prompt.protected) + 3).on_prompt(prompt, None, 16)

    assert kept.content_text.startswith("One cat.\n\n")


def test_where_no_sentence_fits_and_nothing_must_stay_the_budget_is_too_small():
    prompt = asked(DOCUMENT, QUESTION)
    with pytest.raises(BudgetTooSmallError, match="nothing of the prompt fits into 1 tokens"):
        BM25(keep=1, protect=False).on_prompt(prompt, None, 16)


def test_without_protection_the_question_competes_and_wins():
    prompt = asked(QUESTION, DOCUMENT)

    kept = BM25(keep=6, protect=False).on_prompt(prompt, None, 16)

    assert QUESTION in kept.text
    assert len(kept) <= 6


@pytest.mark.parametrize("keep", [1000, 1.0])
def test_a_budget_of_the_whole_prompt_changes_nothing(keep):
    prompt = asked(QUESTION, DOCUMENT)

    assert BM25(keep=keep).on_prompt(prompt, None, 16) is prompt


def test_a_prompt_without_a_question_behind_a_document_is_refused():
    prompt = Prompt((1, 2), ((0, 3), (3, 6)), "A. B. ", content=(0, 6))

    with pytest.raises(UsageError, match="no question behind a document"):
        BM25(keep=1).on_prompt(prompt, None, 16)
