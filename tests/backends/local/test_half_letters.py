"""An answer that is cut within a letter ends before it, however it was asked for."""

from __future__ import annotations

from functools import cache

import pytest

from tests.sessions.tiny_session import QUESTION, run, session

MOST = 30
HALF = "\N{REPLACEMENT CHARACTER}"


@cache
def said(**settings):
    return run(document="", **settings)


def whole(**settings):
    return said(max_tokens=MOST, **settings)["answer"]


# Bytes are tokens here, and a random model writes the first byte of a letter often.
@pytest.mark.parametrize("limit", ["max_tokens", "budget"])
@pytest.mark.parametrize("way", [{}, {"search": "greedy"}], ids=["plain", "search"])
def test_an_answer_that_is_cut_is_a_beginning_of_the_whole_one(limit, way):
    cut, longest = 0, whole(**way)
    for count in range(1, MOST):
        settings = {"max_tokens": count} if limit == "max_tokens" else {"budget": f"{count}tok"}
        found = said(**{"max_tokens": MOST, **settings, **way})
        assert longest.startswith(found["answer"])
        assert not found["answer"].endswith(HALF)
        assert found["cost"]["output_tokens"] == count
        cut += found["answer"] == said(max_tokens=count + 1)["answer"]
    assert cut, "no token was in the middle of a letter"


def test_samples_and_the_candidates_of_a_search_are_cut_alike():
    settings = {"temperature": 0.7, "seed": 5}
    longest = said(max_tokens=MOST, samples=3, **settings)["candidates"]
    for count in range(1, MOST, 4):
        drawn = said(max_tokens=count, samples=3, **settings)["candidates"]
        voted = said(max_tokens=count, search="majority-vote(n=3)", **settings)["candidates"]
        assert [one["text"] for one in drawn] == [one["text"] for one in voted]
        for one, other in zip(drawn, longest, strict=True):
            assert other["text"].startswith(one["text"])
            assert one["tokens"] == min(count, other["tokens"])


def test_what_is_streamed_is_the_answer():
    for count in range(1, MOST):
        *events, done = session(max_tokens=count).stream(QUESTION)
        shown = "".join(event.data["text"] for event in events if event.kind == "token")
        assert shown == done.data["run"]["answer"]
