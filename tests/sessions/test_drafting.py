"""Recipes that draft their answers: the answers, log-probabilities and limits of plain decoding."""

from __future__ import annotations

import itertools

import pytest

from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Question
from forethought.engine.cache.prefix_cache import PrefixCache
from forethought.sessions.conversation import Conversation
from forethought.sessions.live_local import LocalOpener
from forethought.sessions.live_session import LiveRequest, LiveSession
from tests.sessions.tiny_session import DOCUMENT, QUESTION, TARGET, events, run, session

DRAFTERS = {
    "prompt-lookup(match=1)": "self",
    "trie-lookahead": "self",
    "draft-model(chance=0)": "same-tokens",
    "draft-model(chance=0,tokens=3)": "other-tokens",
    "own-layers(layers=1,chance=0)": "self",
}
"""Each with its draft model."""
APPROXIMATE = (
    "streaming-llm(keep=60)",
    "truncate(keep=0.5)",
    "quantised-kv(bits=4)",
    "snapkv(keep=120, every=6)",
    "h2o(keep=120, every=4)",
    "expected-attention(keep=120, every=5)",
)
QUICK = {
    ("prompt-lookup(match=1)", 4, ""),
    ("trie-lookahead", 1, "snapkv(keep=120, every=6)"),
    ("draft-model(chance=0)", 1, "truncate(keep=0.5)"),
    ("draft-model(chance=0,tokens=3)", 1, ""),
    ("own-layers(layers=1,chance=0)", 1, ""),
}
CASES = [
    pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
    for case in itertools.product(DRAFTERS, (1, 4), ("", *APPROXIMATE))
]


def shown(found):
    """What a run tells of its answers."""
    return found["answer"], found["finish"], found["candidates"], found["cost"]["output_tokens"]


@pytest.mark.parametrize(("drafter", "samples", "method"), CASES)
def test_drafts_change_no_answer(drafter, samples, method):
    methods = (method,) if method else ()
    settings = {"samples": samples, "temperature": 0.3 * (samples > 1), "max_tokens": 24}

    plain = run(approximate=methods, **settings)
    found = run(DRAFTERS[drafter], approximate=(*methods, drafter), **settings)

    assert shown(found) == shown(plain)
    cost = found["cost"]
    assert cost["verified_tokens"] > 0
    assert cost["decode_passes"] + cost["accepted_tokens"] == cost["output_tokens"] - samples
    assert "verified_tokens" not in plain["cost"]


LOOKAHEADS = [
    ("speckv(keep=400)", "self"),
    ("speckv(keep=120)", "same-tokens"),
    ("speckv(keep=120)", "other-tokens"),
    ("specpc-fused(keep=120,lookahead=24)", "same-tokens"),
    ("vertical-slash(columns=40,window=64)", "same-tokens"),
]
"""The target accepts a part of its own look-ahead."""


@pytest.mark.parametrize(("method", "draft"), LOOKAHEADS)
def test_what_a_draft_wrote_to_score_the_prompt_is_verified(method, draft):
    settings = {"samples": 2, "max_tokens": 24}
    plain = run(draft, approximate=(method,), **settings)
    found = run(draft, approximate=(method, "draft-lookahead"), **settings)

    assert shown(found) == shown(plain)
    assert found["cost"]["accepted_tokens"] >= 10 * (draft == "self")
    assert found["cost"]["draft_tokens"] == plain["cost"]["draft_tokens"]  # written once


def test_a_known_look_ahead_is_verified_again():
    """The second run finds the draft's result in the store of the first one, which it shares."""
    first = session(approximate=("speckv(keep=400)", "draft-lookahead"), max_tokens=24)
    ticks = itertools.count().__next__
    cache = PrefixCache(1 << 24)
    opener = LocalOpener(lambda name, weights: first.target, first.recipe, ticks, cache)
    live = LiveSession(opener, ticks)
    done = []
    for name in ("first", "second"):
        live.submit(LiveRequest(name, first.recipe, QUESTION, DOCUMENT))
        while not live.idle:
            done += [event for _, event in live.step()]
    first, second = (one.data["run"] for one in done if one.kind == "done")

    assert second["cost"]["draft_tokens"] == 0 < first["cost"]["draft_tokens"]
    assert shown(second) == shown(first)
    assert second["cost"]["accepted_tokens"] == first["cost"]["accepted_tokens"] > 5


@pytest.mark.parametrize("others", [(), ("specpc(keep=120,first_layer=1)",), ("snapkv(keep=99)",)])
def test_without_a_look_ahead_nothing_is_drafted_and_a_note_says_why(others):
    found = run("same-tokens", approximate=(*others, "draft-lookahead"))

    assert found["answer"] == run("same-tokens", approximate=others)["answer"]
    assert any("no other method looks ahead" in note for note in found["notes"])
    assert "verified_tokens" not in found["cost"]


@pytest.mark.parametrize("drafter", ["trie-lookahead"])
def test_log_probabilities_are_those_of_plain_decoding(drafter):
    plain, found = (
        [
            e.data
            for e in events(approximate=methods, logprobs=3, max_tokens=30)
            if e.kind == "token"
        ]
        for methods in ((), (drafter,))
    )

    assert [one["token"] for one in found] == [one["token"] for one in plain]
    for one, other in zip(found, plain, strict=True):
        assert one["log_probability"] == pytest.approx(other["log_probability"], abs=1e-5)
        assert [top["token"] for top in one["top"]] == [top["token"] for top in other["top"]]


def test_two_drafters_are_an_error():
    with pytest.raises(UsageError, match="two methods of one recipe draft its answer"):
        run(approximate=("prompt-lookup", "prompt-lookup(match=3)"))


def test_a_draft_with_the_targets_law_is_always_accepted():
    """Both draw with the same random numbers, so that equal laws lead to equal tokens."""
    settings = {"samples": 2, "temperature": 0.9, "seed": 3, "max_tokens": 24}
    name = "own-layers(layers=3,chance=0)"  # all layers

    found = run(approximate=(name,), **settings)

    assert shown(found) == shown(run(**settings))
    assert found["cost"]["accepted_tokens"] == found["cost"]["verified_tokens"] > 20
    assert found["cost"]["draft_tokens"] > found["kept"]["of"]


def test_a_model_that_drafts_is_charged():
    plain = run(max_tokens=24)
    found = run("same-tokens", approximate=("draft-model(chance=0)",), max_tokens=24)

    cost, length = found["cost"], found["kept"]["of"]
    assert cost["draft_tokens"] >= length + cost["verified_tokens"]
    assert cost["flops"] > plain["cost"]["flops"]
    assert cost["bytes_moved"] > 0
    assert found["timing"]["stages"]["draft"] > 0


def test_without_a_smaller_model_nothing_is_drafted_and_a_note_says_why():
    found = run(approximate=("draft-model",))

    assert found["answer"] == run()["answer"]
    assert "nothing is drafted: a smaller model would draft, named with -d" in found["notes"]
    assert "verified_tokens" not in found["cost"]


def test_without_a_predicted_answer_nothing_is_drafted_and_a_note_says_why():
    note = "nothing is drafted: no answer is predicted; a chat request of a server may"
    found = run(approximate=("prediction",))

    assert found["answer"] == run()["answer"]
    assert note in found["notes"]
    local = session(approximate=("prediction",))
    answer = local.local_run(local.recipe)
    answer.predicted = tuple(TARGET.tokenizer.encode(found["answer"]))
    *_, done = local.answered(answer, Question("one", QUESTION, DOCUMENT))
    predicted = done.data["run"]
    assert predicted["answer"] == found["answer"]
    assert note not in predicted["notes"]
    assert predicted["cost"]["accepted_tokens"] > 0


def test_a_budget_of_flops_leaves_no_room_for_drafts():
    found = run(approximate=("prompt-lookup(match=1)",), budget="1TFLOP", max_tokens=24)

    assert found["answer"] == run(max_tokens=24)["answer"]
    assert "verified_tokens" not in found["cost"]


def test_a_stop_string_within_a_draft_ends_the_answer_there():
    full = run(max_tokens=30)["answer"]
    for stop in {full[at : at + 2] for at in (4, 9)}:
        plain = run(max_tokens=30, stop=(stop,))
        found = run(max_tokens=30, stop=(stop,), approximate=("trie-lookahead",))
        assert shown(found) == shown(plain)


@pytest.mark.parametrize("budget", ["9tok", "17tok"])
def test_a_budget_of_tokens_counts_the_tokens_of_the_answer_alone(budget):
    settings = {"max_tokens": 30, "budget": budget}

    assert shown(run(approximate=("trie-lookahead",), **settings)) == shown(run(**settings))


@pytest.mark.parametrize("search", ["best-of-n(n=3)", "step-beam(n=2,delimiter=e)"])
def test_searches_find_what_they_find_without_drafts(search):
    settings = {"search": search, "scorer": "likelihood", "max_tokens": 20}
    plain = run(**settings)

    found = run(approximate=("trie-lookahead",), **settings)

    assert found["answer"] == plain["answer"]
    assert [one["text"] for one in found["candidates"]] == [
        one["text"] for one in plain["candidates"]
    ]


def test_drafts_follow_every_turn_of_a_conversation():
    def turns(methods):
        held = Conversation(session(approximate=methods, max_tokens=16), DOCUMENT)
        return [list(held.stream(text))[-1].data["run"] for text in (QUESTION, "And of locker 5?")]

    plain, found = turns(()), turns(("trie-lookahead",))

    assert [one["answer"] for one in found] == [one["answer"] for one in plain]
    assert all(one["cost"]["verified_tokens"] > 0 for one in found)


def test_more_own_layers_than_the_model_has_draft_nothing():
    found = run(approximate=("own-layers(layers=4)",), max_tokens=4)

    assert "nothing is drafted: the model has only 3 layers" in found["notes"]
    assert found["cost"]["draft_tokens"] == 0
