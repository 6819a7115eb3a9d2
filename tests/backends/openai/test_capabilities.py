"""What is found out of servers that differ in what they do."""

from __future__ import annotations

import pytest

from forethought.backends.openai.capabilities import COUNTING
from forethought.backends.openai.protocol import Capabilities
from forethought.contracts.errors import RemoteError
from tests.backends.openai.openai_server import PROMPT_TOKENS

ALL = {"steps", "log-probabilities", "verdicts"}


def found(toy, **settings):
    toy.set(**settings)
    with toy.remote() as remote:
        return remote.capabilities, remote.abilities


def test_a_server_that_does_all_is_found_to(toy):
    capabilities, abilities = found(toy)
    assert abilities == ALL
    assert capabilities == Capabilities(
        "toy", logprobs=True, top=20, continues=True, stops="kept", overhead=7
    )
    assert capabilities.overhead == PROMPT_TOKENS


@pytest.mark.parametrize(
    ("settings", "lacking"),
    [
        ({"logprobs": False}, {"log-probabilities", "verdicts"}),
        ({"logprobs": "ignored"}, {"log-probabilities", "verdicts"}),
        ({"continues": False}, {"steps"}),
        ({"continues": "refused"}, {"steps"}),
    ],
)
def test_what_a_server_refuses_or_ignores_it_is_not_asked_for(toy, settings, lacking):
    assert found(toy, **settings)[1] == ALL - lacking


@pytest.mark.parametrize("stops", ["kept", "told", "neither"])
@pytest.mark.parametrize("trims", [False, True])
def test_what_a_server_can_do_does_not_depend_on_what_its_model_says(toy, stops, trims):
    capabilities, abilities = found(toy, astray=True, law="three_steps", stops=stops, trims=trims)
    assert abilities == ALL
    assert capabilities.trims == trims
    assert not any(body["messages"][0]["content"] == COUNTING and len(body["messages"]) > 1
                   for body in toy.told()["asked"])  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"continues": "always"}, True),  # as llama.cpp and Ollama: the fields are not looked at
        ({"continues": "always", "astray": True}, False),
        ({"usage": False}, True),
        ({"usage": False, "continues": False}, False),
        ({"usage": False, "continues": "always"}, True),
        ({"continues": False, "astray": True}, False),
    ],
)
def test_where_counts_do_not_tell_it_is_seen_by_what_is_written(toy, settings, steps):
    assert ("steps" in found(toy, **settings)[1]) == steps


def test_details_are_found_out(toy):
    assert found(toy, top=5)[0].top == 5
    assert found(toy, stops="told")[0].stops == "told"
    assert found(toy, stops="neither")[0].stops == "watched"
    assert found(toy, trims=True)[0].trims
    assert found(toy, usage=False)[0].overhead == 256
    assert found(toy, usage="whole")[0].overhead == PROMPT_TOKENS
    assert found(toy, limit="max_completion_tokens")[0].limit == "max_completion_tokens"
    assert found(toy, models=["b", "a"])[0].model == "b"


def test_a_server_without_messages_is_asked_by_raw_prompts(toy):
    capabilities, abilities = found(toy, chat=False)
    assert (capabilities.chat, capabilities.path) == (False, "/completions")
    assert abilities == ALL


def test_it_is_found_out_once_and_told_what_it_took(toy):
    with toy.remote() as remote:
        assert remote.abilities == remote.abilities
        asked = toy.told()["asked"]
        assert 3 <= len(asked) <= 6
        assert remote.probing.output_tokens == toy.told()["written"]
        capabilities = remote.capabilities
    assert sum(body["max_tokens"] for body in asked) <= 10
    toy.set()
    with toy.remote("toy", known_capabilities=capabilities) as remote:
        assert remote.abilities == ALL
    assert toy.told()["asked"] == []


def test_a_passing_fault_is_not_taken_for_a_lack(toy):
    with toy.remote() as remote:
        toy.set({"status": 503}, {"drop": "before"}, {"status": 429}, {"drop": 0}, {"status": 500})
        assert remote.abilities == ALL
    with toy.remote() as remote:
        toy.set(None, *[{"status": 503}] * 6)
        with pytest.raises(RemoteError, match="503"):
            _ = remote.abilities


def test_where_nothing_is_answered_the_first_complaint_is_told(toy):
    toy.set(limit="none")
    with toy.remote() as remote, pytest.raises(RemoteError, match="answered 400: I do not do that"):
        _ = remote.abilities
    toy.set(models=[])
    with toy.remote() as remote, pytest.raises(RemoteError, match="lists no model"):
        _ = remote.abilities
