"""Stop strings end every kind of answer at the same place."""

from __future__ import annotations

import pytest

from forethought.sessions.conversation import Conversation
from tests.fast_cases import fast_each
from tests.sessions.tiny_session import QUESTION, run, session

LONG = {"max_tokens": 40}
WARM = {**LONG, "temperature": 0.7, "seed": 5}
FREE = run(document="", **LONG)["answer"]
"""What is written without stop strings."""


def stops_of(text):
    """Stop strings that overlap each other, in the order of a list that is not theirs."""
    at = len(text) // 2
    return [
        (text[at : at + 1],),
        (text[at : at + 4],),
        # The longer one begins first, the other is complete first.
        (text[at : at + 6], text[at + 2 : at + 4]),
        (text[at + 2 : at + 4], text[at : at + 6]),
        # Both are complete with the same letter.
        (text[at + 3 : at + 5], text[at : at + 5]),
        ("no such text", text[at + 1 : at + 8]),
    ]


def said(**settings):
    return run(document="", **settings)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("stop", fast_each(3, map(pytest.param, stops_of(FREE))))
def test_greedy_ways_to_answer_end_at_the_same_letter(stop, keep):
    settings = {**LONG, "stop": stop, "keep_stop": keep}
    plain = said(**settings)
    talk = Conversation(session(**settings))
    *_, turn = talk.stream(QUESTION)

    assert plain["answer"] != FREE
    assert plain["finish"] == "stop"
    assert turn.data["run"]["answer"] == plain["answer"]
    ways = ["greedy", "hedged(n=1)", "beam(n=1, width=1)", "diverse-beam(width=1, groups=1)"]
    for search in ways:
        scorer = "likelihood" if search.startswith("beam") else ""
        found = said(**settings, temperature=0.0, search=search, scorer=scorer)
        assert (found["answer"], found["finish"]) == (plain["answer"], "stop"), search


@pytest.mark.parametrize("keep", [False, True])
def test_samples_and_votes_end_at_the_same_letters(keep):
    """Also where a budget that is just enough has answers written in several pieces."""
    free = said(**WARM, samples=3)["candidates"]
    for n, one in enumerate(free):
        for stop in stops_of(one["text"])[n::3]:
            settings = {**WARM, "stop": stop, "keep_stop": keep}
            drawn = said(**settings, samples=3)["candidates"]
            enough = sum(one["tokens"] for one in drawn)
            for budget in ("", f"{enough}tok"):
                voted = said(**settings, budget=budget, search="majority-vote(n=3)")["candidates"]
                ends = [[(one["text"], one["finish"]) for one in some] for some in (drawn, voted)]
                assert ends[0] == ends[1]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("stop", fast_each(3, map(pytest.param, stops_of(FREE))))
def test_a_stop_string_over_several_steps_is_cut_from_all_of_them(stop, keep):
    """Each letter of the answer ends a step in one of these searches."""
    settings = {**LONG, "temperature": 0.0, "stop": stop, "keep_stop": keep}
    plain = said(**settings)
    at = plain["answer"]

    for letter in {*FREE[len(at) - 2 : len(at) + 8]}:
        search = f"step-beam(n=1, width=1, depth=60, delimiter={letter!r})"
        found = said(**settings, search=search, scorer="likelihood")
        assert found["answer"] == at
        (chosen,) = [one for one in found["candidates"] if one["chosen"]]
        assert "".join(step["text"] for step in chosen.get("steps", [])) in (at, "")
        assert chosen["tokens"] == plain["cost"]["output_tokens"]


def test_a_stop_string_that_began_and_is_not_complete_stays():
    at = len(FREE) - 3
    stop = (FREE[at:] + "no more",)

    for search in ("", "greedy", "step-beam(n=1, width=1, depth=60)"):
        scorer = "likelihood" if search.startswith("step") else ""
        found = said(**LONG, temperature=0.0, stop=stop, search=search, scorer=scorer)
        assert (found["answer"], found["finish"]) == (FREE, "length")
