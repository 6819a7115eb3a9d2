"""The language of questions as people put them."""

import pytest

from forethought.numerics.language import elsewhere, is_in, language_of

ENGLISH = [
    "What is the capital of France?",
    "A pen costs 3 dollars. How many dollars do 14 pens cost?",
    "Write a poem about the sea.",
    "Why is 1 not a prime number?",
]
OTHERS = [
    "Was ist die Hauptstadt von Frankreich?",
    "Ein Stift kostet 3 Euro. Wie viele Euro kosten 14 Stifte?",
    "Quelle est la capitale de la France ?",
    "¿Cuántos euros cuestan 14 bolígrafos?",
    "Quanto costano 14 penne?",
    "Quantos reais custam 14 canetas?",
    "Hoeveel euro kosten 14 pennen?",
    "Ile kosztuje 14 długopisów?",
    "14 kalem kaç lira eder?",
    "Berapa harga 14 pena?",
    "14 cây bút giá bao nhiêu?",
    "Сколько стоят 14 ручек?",
    "كم ثمن ١٤ قلما؟",
    "ペン14本はいくらですか?",
    "펜 14자루는 얼마입니까?",
]
CHINESE = ["14支笔多少钱?", "法国的首都是哪里?请简短回答。"]


@pytest.mark.parametrize(
    ("texts", "language"), [(ENGLISH, "English"), (OTHERS, "other"), (CHINESE, "Chinese")]
)
def test_questions_are_told_apart(texts, language):
    assert {text: language_of(text) for text in texts} == dict.fromkeys(texts, language)


@pytest.mark.parametrize("text", ["", "14 * 3 =", "42", "$x^2$", "Paris"])
def test_a_text_without_common_words_tells_nothing(text):
    assert language_of(text) == ""
    assert is_in(text, "English")
    assert is_in(text, "Chinese")


def test_evidence_is_in_another_language_than_the_prompt():
    assert {elsewhere(text) for text in [*ENGLISH, "14 * 3 ="]} == {"Chinese"}
    assert {elsewhere(text) for text in [*OTHERS, *CHINESE]} == {"English"}


def test_a_text_in_a_wrong_language_is_found_out():
    assert not any(is_in(text, "Chinese") for text in [*ENGLISH, *OTHERS])
    assert not any(is_in(text, "English") for text in [*CHINESE, *OTHERS])
    assert is_in(OTHERS[0], "German")
