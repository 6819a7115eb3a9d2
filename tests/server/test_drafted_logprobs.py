"""Log-probabilities of tokens that a draft proposed: those of the target, as without a draft."""

import pytest

from tests.server.served import data_lines

LIKE_TEXT = {"structured_outputs": {"regex": "[a-z]{20}"}}
"""An answer whose tokens are those of its text."""
ALL_LAYERS = "own-layers(layers=3, chance=0)"
"""Drafts with the law of the target, so that every draft is accepted."""


def same(found, plain):
    """Whether entries of a chat name the same tokens with the same log-probabilities."""
    assert [one["token"] for one in found] == [one["token"] for one in plain]
    chances = [one["logprob"] for one in plain]
    assert [one["logprob"] for one in found] == pytest.approx(chances, abs=1e-6)
    assert all(chance < -1e-3 for chance in chances)
    for mine, theirs in zip(found, plain, strict=True):
        tops = [[one["token"] for one in given["top_logprobs"]] for given in (mine, theirs)]
        assert tops[0] == tops[1]
        logs = [[one["logprob"] for one in given["top_logprobs"]] for given in (mine, theirs)]
        assert logs[0] == pytest.approx(logs[1], abs=1e-6)


def test_accepted_tokens_of_a_predicted_answer_have_the_targets_log_probabilities(served):
    given = {"max_tokens": 20, "logprobs": True, "top_logprobs": 3, **LIKE_TEXT}
    plain = served.chat(**given).json()["choices"][0]
    prediction = {"type": "content", "content": plain["message"]["content"]}

    whole = served.chat(prediction=prediction, **given).json()
    chunks = data_lines(served.chat(prediction=prediction, stream=True, **given).text)

    accepted = whole["usage"]["completion_tokens_details"]["accepted_prediction_tokens"]
    assert accepted > 0
    same(whole["choices"][0]["logprobs"]["content"], plain["logprobs"]["content"])
    told = [one for chunk in chunks for one in chunk["choices"] if one["logprobs"]]
    streamed = [entry for one in told for entry in one["logprobs"]["content"]]
    same(streamed, plain["logprobs"]["content"])


def test_accepted_tokens_of_sampled_completions_have_the_targets_log_probabilities(served):
    given = {"n": 2, "seed": 4, "temperature": 0.9, "max_tokens": 12, "logprobs": 2}
    plain = served.complete(ignore_eos=True, **given).json()

    found = served.complete(ignore_eos=True, approximate=ALL_LAYERS, **given).json()

    assert found["forethought"]["cost"]["accepted_tokens"] > 0
    for mine, theirs in zip(found["choices"], plain["choices"], strict=True):
        told, expected = mine["logprobs"], theirs["logprobs"]
        assert told["tokens"] == expected["tokens"]
        chances = expected["token_logprobs"]
        assert told["token_logprobs"] == pytest.approx(chances, abs=1e-6)
        assert all(chance < -1e-3 for chance in chances)
        for one, other in zip(told["top_logprobs"], expected["top_logprobs"], strict=True):
            assert one == pytest.approx(other, abs=1e-6)
