"""Replies that are no answers: one clear error, and nothing that hangs or is taken for a number."""

from __future__ import annotations

import pytest

from forethought.backends.openai.streamed_reply import StreamedReply
from forethought.contracts.errors import RemoteError
from tests.backends.openai.remote_asks import outcome_of, request

NAN, BIG = float("nan"), 5.0


def said(**choice):
    return {"choices": [{"finish_reason": "stop", **choice}]}


def chances(*found):
    return said(message={"content": "a"}, logprobs={"content": list(found)})


@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ({**said(message={"content": "a"}), "usage": [1]}, "[1] where an object"),
        ({**said(message={"content": "a"}), "usage": {"completion_tokens": "2"}}, "'2' where a"),
        ({**said(message={"content": "a"}), "usage": {"prompt_tokens": -1}}, "-1 where a count"),
        ({"choices": "none"}, "'none' where a list"),
        ({"choices": ["a"]}, "'a' where an object"),
        (said(message="a"), "'a' where an object"),
        (said(message={"content": 3}), "3 where a text"),
        (said(message={"content": "a"}, logprobs=[1]), "[1] where an object"),
        (chances("a"), "'a' where an object"),
        (chances({"token": "a", "logprob": NAN}), "nan where a log-probability"),
        (chances({"token": "a", "logprob": -float("inf")}), "-inf where a log-probability"),
        (chances({"token": "a", "logprob": BIG}), "5.0 where a log-probability"),
        (chances({"logprob": -1, "top_logprobs": [{"token": "a", "logprob": NAN}]}), "nan where"),
        (said(text="a", logprobs={"token_logprobs": [None, NAN]}), "nan where"),
        (said(text="a", logprobs={"top_logprobs": [{"a": "b"}]}), "'b' where a log-probability"),
        (said(text="a", finish_reason=7), "7 where a text"),
    ],
)
def test_a_reply_of_another_form_is_an_error_that_shows_it(toy, remote, document, wrong):
    assert remote.abilities
    toy.set({"status": 200, "body": document})
    error = outcome_of(remote, request()).error
    assert isinstance(error, RemoteError)
    assert "sent a malformed answer" in error.message
    assert wrong in error.message
    assert error.hint


def test_texts_in_parts_are_joined_and_other_parts_left_out():
    reply = StreamedReply()
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    reply.add(said(message={"content": parts}))
    assert reply.text == "ab"


def test_counts_may_be_written_as_whole_numbers_of_any_kind():
    reply = StreamedReply()
    reply.add({**said(text="a"), "usage": {"prompt_tokens": 12.0, "completion_tokens": 3.0}})
    assert (reply.prompt_tokens(0), reply.output_tokens(9)) == ((12, 0), 3)


def test_half_characters_are_shown_as_such_and_whole_ones_kept():
    reply = StreamedReply()
    reply.add(said(message={"content": "a\ud83db"}, finish_reason=None))
    reply.add(said(message={"content": "\ud83d\ude00"}))
    assert reply.text == "a\N{REPLACEMENT CHARACTER}b\N{GRINNING FACE}"


def test_chances_are_added_and_rounding_above_certainty_is_none():
    reply = StreamedReply()
    entries = [{"token": "a", "logprob": -1.5}, {"token": "b", "logprob": 1e-7}]
    told = {"content": entries}
    reply.add(said(message={"content": "a"}, logprobs=told, finish_reason=None))
    reply.add(said(text="c", logprobs={"token_logprobs": [None, -0.25]}))
    assert (reply.scored_tokens, reply.log_probability) == (4, -1.75)
