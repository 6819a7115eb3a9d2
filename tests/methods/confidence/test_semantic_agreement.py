from __future__ import annotations

from forethought.contracts.search import Charge
from forethought.methods.confidence.semantic_agreement import SemanticAgreement
from forethought.models.encoders.sentence_encoder import open_sentence_encoder
from tests.methods.confidence.saying import answer, said
from tests.models.tiny_encoders import save_encoder

OTHERS = [answer("B", 1), answer("c", 2), answer("d", 3)]


def test_only_implication_in_both_directions_counts():
    # There: B, c and d are implied. Back: only B and d imply the answer.
    replies = [[(0.9, 0.1), (0.8, 0.2), (0.7, 0.3), (0.6, 0.4), (0.4, 0.6), (0.51, 0.49)]]
    value, (ask,) = said(SemanticAgreement(), answer("b"), OTHERS, replies)
    assert value == 3 / 4
    assert ask.choices == ("Yes", "No")
    pairs = [
        tuple(line.rpartition(": ")[2] for line in text.split("\n\n")[2:4])
        for text in ask.questions
    ]
    assert pairs == [("b", "B"), ("b", "c"), ("b", "d"), ("B", "b"), ("c", "b"), ("d", "b")]


def test_one_answer_alone_agrees_with_itself():
    assert said(SemanticAgreement(n=1), answer("b")) == (1.0, [])


def test_verdicts_are_needed_only_where_they_compare():
    assert SemanticAgreement().needs == {"verdicts"}
    assert SemanticAgreement(encoder="all-minilm-l6-v2").needs == frozenset()


def test_an_encoder_compares_by_cosine_and_is_charged(tmp_path):
    save_encoder(tmp_path, "Bert")
    texts = ["The cat sat.", "The cat sat.", "dogs", "a bird"]
    one, *others = (answer(text, place) for place, text in enumerate(texts))
    vectors = open_sentence_encoder(str(tmp_path)).embed(texts).vectors
    same, *rest = sorted((float(row @ vectors[0]) for row in vectors[1:]), reverse=True)
    between = (same + rest[0]) / 2
    method = SemanticAgreement(least=between, encoder=str(tmp_path))
    value, (ask,) = said(method, one, others, [None])
    assert isinstance(ask, Charge)
    assert ask.cost.flops > 0
    assert value == 2 / 4
