"""vLLM with the default model: it gets a shortened prompt as token ids.

FORETHOUGHT_VLLM_ADDRESS names a server of SmolLM2-135M-Instruct, such as
http://127.0.0.1:8000/v1#smollm2.
"""

from __future__ import annotations

import os

import pytest

from forethought.models.chat.prompt import chat_prompt
from forethought.recipes.recipe import Recipe
from forethought.sessions.ask import ask
from tests.backends.openai.test_llama_server import needle

ADDRESS = os.environ.get("FORETHOUGHT_VLLM_ADDRESS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ADDRESS, reason="FORETHOUGHT_VLLM_ADDRESS names no server"),
]


def asked(number: int, *methods: str, **settings):
    document, question, code = needle(number)
    draft = "smollm2" if methods else "self"
    recipe = Recipe(ADDRESS, draft, methods, max_tokens=24, **settings)
    return ask(question, recipe, document=document), code


def test_token_ids_are_sent_and_counted_alike(smollm2):
    run, code = asked(0, "specpc-shallow(keep=0.25)")
    document, question, _ = needle(0)

    assert "the prompt is sent as token ids" in run["notes"]
    assert run["kept"]["of"] == len(
        chat_prompt(smollm2.tokenizer, smollm2.template, question, document)
    )
    cost = run["cost"]
    assert cost["prompt_tokens"] + cost["cached_tokens"] == run["kept"]["prompt_tokens"]
    assert code in run["answer"]


def test_the_whole_prompt_as_ids_has_the_answer_of_the_chat_endpoint():
    by_ids, _ = asked(1, "specpc-shallow(keep=1.0)")
    by_chat, code = asked(1)

    assert by_ids["answer"] == by_chat["answer"]
    assert by_ids["cost"]["prompt_tokens"] + by_ids["cost"]["cached_tokens"] == (
        by_chat["cost"]["prompt_tokens"] + by_chat["cost"]["cached_tokens"]
    )
    assert code in by_chat["answer"]


def test_a_search_over_steps_runs_over_the_shortened_prompt():
    beam = {"search": r"beam(n=4, depth=3, delimiter='\n')", "scorer": "likelihood"}
    run, _ = asked(2, "specpc-shallow(keep=0.25)", **beam)

    assert len(run["candidates"]) >= 4
    assert run["cost"]["draft_tokens"] == run["kept"]["of"]
