"""Recipes that draft their answers: the answers, log-probabilities and limits of plain decoding."""

from __future__ import annotations

import pytest

from forethought.contracts.errors import UsageError
from tests.sessions.tiny_session import events, run

DRAFTERS = ("prompt-lookup(match=1)", "trie-lookahead")
APPROXIMATE = ("streaming-llm(keep=60)", "truncate(keep=0.5)", "quantised-kv(bits=4)")
EVICTING = (
    "snapkv(keep=120, every=6)",
    "h2o(keep=120, every=4)",
    "expected-attention(keep=120, every=5)",
)


def shown(found):
    """What a run tells of its answers."""
    return found["answer"], found["finish"], found["candidates"], found["cost"]["output_tokens"]


@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("method", ["", *APPROXIMATE, *EVICTING])
def test_drafts_change_no_answer(drafter, samples, method):
    methods = (method,) if method else ()
    settings = {"samples": samples, "temperature": 0.3 * (samples > 1), "max_tokens": 24}

    plain = run(approximate=methods, **settings)
    found = run(approximate=(*methods, drafter), **settings)

    assert shown(found) == shown(plain)
    cost = found["cost"]
    assert cost["verified_tokens"] > 0
    assert cost["decode_passes"] + cost["accepted_tokens"] == cost["output_tokens"] - samples
    assert "verified_tokens" not in plain["cost"]


@pytest.mark.parametrize("drafter", DRAFTERS)
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
