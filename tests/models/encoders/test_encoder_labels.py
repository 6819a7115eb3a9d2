"""Token classifiers against transformers, on random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from forethought.contracts.errors import DamagedFileError
from forethought.models.encoders.token_classifier import TokenClassifier
from forethought.models.sources.folder import FolderCheckpoint
from tests.models.tiny_encoders import PIECES, save_encoder

TEXTS = [[10, 11, 4], [12], [13, 14, 5]]


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "XLMRoberta"])
def test_chances_equal_those_of_transformers(tmp_path: Path, kind: str) -> None:
    model = save_encoder(tmp_path, kind, "ForTokenClassification")

    found = TokenClassifier(FolderCheckpoint(tmp_path), "cpu").chances(TEXTS)

    for text, chances in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([[2, *text, 3]])).logits[0]
        expected = torch.softmax(logits, -1)[1:-1, 1]
        assert np.allclose(chances, expected, atol=1e-5)


def test_cost_counts_the_tokens_around_each_text(tmp_path: Path) -> None:
    save_encoder(tmp_path, "Bert", "ForTokenClassification")

    classifier = TokenClassifier(FolderCheckpoint(tmp_path), "cpu")

    shape = classifier.encoder.shape
    assert classifier.flops(TEXTS) == 2 * shape.flops(5) + shape.flops(3)
    assert classifier.longest == 38


def test_a_classifier_with_other_labels_is_refused(tmp_path: Path) -> None:
    save_encoder(tmp_path, "Bert", "ForTokenClassification", num_labels=3)

    with pytest.raises(DamagedFileError, match=r"classifier\.weight has the shape \(3, 16\)"):
        TokenClassifier(FolderCheckpoint(tmp_path), "cpu")


def test_word_pieces_make_words_and_signs_stand_alone(tmp_path: Path) -> None:
    save_encoder(tmp_path, "Bert", "ForTokenClassification")
    text = "The cats, not 7\n[SEP] sat."

    found = TokenClassifier(FolderCheckpoint(tmp_path), "cpu").pieces(text)

    words: dict[int, str] = {}
    for (start, stop), word in zip(found.spans, found.words, strict=True):
        words[word] = words.get(word, "") + text[start:stop]
    assert list(words) == list(range(10))
    assert list(words.values()) == ["The", "cats", ",", "not", "7", "[", "SEP", "]", "sat", "."]
    assert 3 not in found.tokens


def test_pieces_that_take_in_a_space_begin_words_and_so_do_signs(tmp_path: Path) -> None:
    save_encoder(tmp_path, "XLMRoberta", "ForTokenClassification")
    listed = ["▁cat", "▁don", "t", "'", "s", "▁", ".", "▁s", "at"]
    scored = [(piece, 0.0) for piece in [*PIECES[:4], *listed]]
    inner = Tokenizer(models.Unigram(scored, unk_id=1, byte_fallback=False))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    inner.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)]
    )
    inner.save(str(tmp_path / "tokenizer.json"))

    found = TokenClassifier(FolderCheckpoint(tmp_path), "cpu").pieces("cat don't sat.")

    pieces = [[*PIECES[:4], *listed][token] for token in found.tokens]
    assert pieces == ["▁cat", "▁don", "'", "t", "▁s", "at", "."]
    assert found.words == (0, 1, 2, 2, 3, 3, 4)
