"""Shorter prompts as text: what is handed out is what the target would have read."""

from __future__ import annotations

from pathlib import Path

import pytest

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.compress import check_compresses, compress

PROSE = (Path(__file__).parents[2] / "LICENSE").read_text()[:3000]
DOCUMENT = f"{PROSE}\n\nThe code of the lighthouse is 70421.\n\n{PROSE[::-1]}"
QUESTION = "What is the code of the lighthouse?"


@pytest.mark.parametrize(
    "method", ["specpc-shallow(keep=0.3)", "bm25(keep=0.3)", "truncate(keep=0.3)"]
)
def test_the_text_is_part_of_the_document_and_the_whole_question(
    method: str, smollm2: Model
) -> None:
    found = compress(QUESTION, f"smollm2+{method}", document=DOCUMENT)

    kept = found.document["kept"]
    assert kept["prompt_tokens"] <= round(0.3 * kept["of"])
    assert found.text.endswith(QUESTION)
    assert len(found.text) < 0.5 * len(DOCUMENT)
    shown = iter(DOCUMENT + QUESTION)
    assert all(any(letter == other for other in shown) for letter in found.text if letter != "\n")
    assert found.document["cost"]["prompt_tokens"] == 0
    assert (found.document["cost"]["draft_tokens"] > 0) == method.startswith("specpc-shallow")


def test_what_is_asked_about_stays(smollm2: Model) -> None:
    assert "70421" in compress(QUESTION, "smollm2+bm25(keep=0.3)", document=DOCUMENT).text
    assert "70421" in compress(QUESTION, "smollm2+specpc-shallow(keep=0.3)", document=DOCUMENT).text


def test_a_budget_of_everything_changes_nothing(smollm2: Model) -> None:
    found = compress(QUESTION, "smollm2+bm25(keep=1.0)", document=DOCUMENT)

    assert found.text == f"{DOCUMENT}\n\n{QUESTION}"
    assert "nothing to drop" in found.document["notes"][0]


@pytest.mark.parametrize(
    ("recipe", "said"),
    [("smollm2", "no method that shortens"), ("smollm2+snapkv", "works on the cache"),
     ("smollm2+truncate+quantised-kv", "works on the cache"),
     ("smollm2+prompt-lookup", "works on the decoding"),
     ("smollm2+truncate+griffin", "works on the decoding"),
     ("smollm2+sirius", "works on the decoding"),
     ("smollm2+flash-prefill(applies_to=draft)", "no method that shortens")],
)  # fmt: skip
def test_what_no_text_can_show_is_refused(recipe: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        compress(QUESTION, recipe, document=DOCUMENT)


@pytest.mark.parametrize("name", catalogue.entries())
def test_of_all_methods_those_that_shorten_the_prompt_are_taken(name: str) -> None:
    recipe = Recipe(approximate=(name,))
    if catalogue.find(name).family == "prompt-compression":
        check_compresses(recipe)
    else:
        with pytest.raises(UsageError, match=r"no text can show|compress decodes none"):
            check_compresses(recipe)
