"""Answers of servers that stream: what is shown, and what is held back."""

from __future__ import annotations

import pytest

from forethought.backends.openai.answer_stream import AnswerStream
from forethought.backends.openai.api import Api
from forethought.backends.openai.endpoint import Endpoint
from forethought.contracts.errors import RemoteError
from forethought.recipes.recipe import Recipe
from forethought.sessions.ask import ask, stream

KEY = "sk-0123456789abcdef"


def shown(*texts, stops=(), key=""):
    """The deltas as the text grows."""
    told = []
    answer = AnswerStream("k", stops, lambda delta: told.append(delta.text))
    api = Api(Endpoint("http://127.0.0.1:9/v1"), key)
    for text in texts:
        answer.grow(text, 0.0, api)
    return told


def test_each_part_is_shown_once():
    assert shown("a", "ab", "abcd") == ["a", "b", "cd"]


def test_no_part_of_a_stop_string_is_shown():
    assert shown("an E", "an EN", "an END of", stops=("END",)) == ["an ", "", ""]
    assert "".join(shown("an E", "an EN", "an ENORMOUS", stops=("END",))) == "an ENORMOUS"


def test_no_half_of_a_character_is_shown():
    assert shown("a\ufffd", "a\ufffd\ufffd", "a水") == ["a", "水"]


def test_no_part_of_the_key_is_shown():
    assert shown("my key: sk-01", "my key: ***", key=KEY) == ["my key: ", "***"]
    assert "".join(shown("ask-", "ask-me", "ask-me.", key=KEY)) == "ask-me."


def test_an_attempt_that_starts_again_repeats_nothing():
    assert shown("one ", "one two", "o", "one t", "one two three") == ["one ", "two", " three"]


def test_an_attempt_that_writes_something_else_is_an_error():
    with pytest.raises(RemoteError, match="began it anew with other words"):
        shown("one two", "one", "one 2")


def remote(toy, **settings):
    return Recipe(model=f"{toy.base}/v1#toy", max_tokens=20, **settings)


def tokens_of(events):
    return [event.data for event in events if event.kind == "token"]


def test_tokens_come_with_their_log_probabilities_before_the_answer_ends(toy):
    toy.set(delay=0.02)
    events = list(stream(remote(toy), "What?"))
    deltas = tokens_of(events)

    assert [one["text"] for one in deltas] == list("a\na\na\n")
    assert all(one["token"] == -1 for one in deltas)
    assert sum(one["log_probability"] for one in deltas) < 0
    run = events[-1].data["run"]
    assert run["answer"] == "a\na\na\n"
    assert 0 < run["timing"]["first_token"] < run["cost"]["seconds"]
    assert run["timing"]["per_token"] > 0


@pytest.mark.parametrize("continues", [True, False])
def test_what_is_shown_is_the_answer_although_the_connection_breaks(toy, continues):
    toy.set(*[None] * 30, continues=continues)
    probes = len(list(_probes(toy, continues)))
    toy.set(*[None] * probes, {"drop": 3}, continues=continues)
    events = list(stream(remote(toy), "What?"))

    assert "".join(one["text"] for one in tokens_of(events)) == "a\na\na\n"
    assert events[-1].data["run"]["answer"] == "a\na\na\n"


def _probes(toy, continues):
    """The requests by which a back end finds out what the server does."""
    toy.set(continues=continues)
    with toy.remote("toy") as backend:
        assert backend.capabilities.continues == continues
    return toy.told()["asked"]


def test_a_stop_string_ends_the_stream(toy):
    events = list(stream(remote(toy, stop=("\na\n",)), "What?"))

    assert "".join(one["text"] for one in tokens_of(events)) == "a"
    assert events[-1].data["run"]["answer"] == "a"


def test_an_interruption_keeps_the_text_so_far(toy):
    toy.set(delay=0.05, law="long")
    events = stream(remote(toy), "What?")
    while next(events).kind != "token":
        pass
    *_, done = [events.throw(KeyboardInterrupt()), *events]

    assert done.data["run"]["finish"] == "interrupted"
    assert 0 < len(done.data["run"]["answer"]) < 20


def test_a_search_and_several_samples_stream_nothing(toy):
    for settings in ({"search": "majority-vote(n=2)"}, {"samples": 2, "temperature": 1.0}):
        assert tokens_of(stream(remote(toy, **settings), "What?")) == []
    assert ask("What?", remote(toy))["candidates"] == ()
