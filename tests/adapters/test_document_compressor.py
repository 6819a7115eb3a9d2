"""Documents are shortened one by one for a query, by shares of their own tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from forethought.adapters.document_compressor import CompressedDocument, DocumentCompressor
from forethought.contracts.errors import UnknownNameError, UsageError
from forethought.models.model import Model

TEXT = (Path(__file__).parents[2] / "examples" / "lighthouse.txt").read_text()
PASSAGES = [one for one in TEXT.split("\n\n") if len(one) > 200]
QUERY = "Where does the spare key to the tower hang?"
ASKED = [(QUERY, "blue clock"), ("When was the tower built?", "1871"),
         ("What is the boat called?", "Marigold"), ("What is the name of the goat?", "Juniper"),
         ("Who is the doctor of the village?", "Oakley"), ("When did the lamp fail?", "1903"),
         ("How is the glass of the lantern cleaned?", "vinegar"),
         ("When does the inspector come?", "October")]  # fmt: skip


@pytest.mark.parametrize("query", [QUERY, QUERY + " Answer in one short sentence." * 12])
@pytest.mark.parametrize("method", ["truncate", "random", "specpc-shallow(window=16, kernel=8)"])
def test_the_share_is_of_the_document_alone(smollm2: Model, method: str, query: str) -> None:
    found = DocumentCompressor(method=method, keep=0.4).compress(query, PASSAGES[:3])

    for short, whole in zip(found, PASSAGES, strict=False):
        assert short.of == pytest.approx(len(smollm2.tokenizer.encode(whole)), abs=2)
        assert short.kept == round(0.4 * short.of)
        assert short.share == pytest.approx(0.4, abs=0.02)
        assert 0.2 * len(whole) < len(short.text) < 0.6 * len(whole)
        letters = iter(whole)
        assert all(any(letter == other for other in letters) for letter in short.text)


def test_a_number_of_tokens_is_a_limit_for_each_document(smollm2: Model) -> None:
    found = DocumentCompressor(method="truncate", keep=30).compress(QUERY, PASSAGES[:2])

    assert [one.kept for one in found] == [30, 30]


def test_the_default_keeps_answers_in_passages_of_a_retriever(smollm2: Model) -> None:
    compressor = DocumentCompressor(keep=0.3)
    found = [
        word in short.text
        for query, word in ASKED
        for short in compressor.compress(query, [one for one in PASSAGES if word in one][:1])
    ]

    assert sum(found) >= len(ASKED) - 1


def test_all_of_a_document_stays_as_it_is(smollm2: Model) -> None:
    [found] = DocumentCompressor(method="bm25", keep=1.0).compress(QUERY, [TEXT])

    assert found.text == TEXT
    assert found.share == 1.0


def test_empty_documents_and_those_too_short_to_cut_stay_whole(smollm2: Model) -> None:
    empty, short = DocumentCompressor(method="specpc-shallow", keep=0.1).compress(
        QUERY, [" \n", "The key hangs behind the clock."]
    )

    assert empty == CompressedDocument(" \n", 0, 0)
    assert short.text == "The key hangs behind the clock."
    assert short.share == 1.0
    assert "specpc-shallow" in short.notes[0]


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"method": "specpc-shallow(keep=20)"}, UsageError, "states its own budget"),
        ({"method": "spec-pc"}, UnknownNameError, "no method is called 'spec-pc'"),
        ({"keep": "8MiB"}, UsageError, "keep is '8MiB'"),
        ({"keep": 1.5}, UsageError, "must be a share"),
        ({"keep": 0}, UsageError, "must be at least 1"),
    ],
)
def test_wrong_settings_are_errors_before_any_load(
    settings: dict, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        DocumentCompressor(**settings)


def test_a_method_that_works_on_the_cache_is_refused() -> None:
    with pytest.raises(UsageError, match="works on the cache"):
        DocumentCompressor(method="snapkv").compress(QUERY, PASSAGES)
