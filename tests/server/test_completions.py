"""Completions: prompts of all kinds, echo, log-probabilities, n and best_of."""

import math

import pytest
import torch
from openai.types import Completion

from tests.server.served import MODELS, data_lines, error_of
from tests.tiny import fresh_logits

TINY = MODELS["tiny"]


def teacher_forced(tokens):
    """Log-probabilities of the tokens after the first one, each from a prefill of its own."""
    return [
        float(torch.log_softmax(fresh_logits(TINY.network, tokens[:i]), -1)[tokens[i]])
        for i in range(1, len(tokens))
    ]


def test_the_official_client_reads_every_field(served):
    read = Completion.model_validate(
        served.complete(logprobs=2, ignore_eos=True).json(), strict=True
    )

    (choice,) = read.choices
    assert read.object == "text_completion"
    assert read.id.startswith("cmpl-")
    assert choice.finish_reason == "length"
    lists = choice.logprobs.tokens, choice.logprobs.token_logprobs, choice.logprobs.text_offset
    assert [len(one) for one in lists] == [8, 8, 8]
    assert all(2 <= len(top) <= 3 for top in choice.logprobs.top_logprobs)
    assert read.usage.completion_tokens == 8
    assert read.usage.prompt_tokens == 3


def test_texts_and_token_ids_are_one_prompt(served):
    tokens = TINY.tokenizer.encode("abc")
    given = ["abc", ["abc"], tokens, [tokens]]

    answers = [served.complete(prompt=one).json()["choices"] for one in given]

    assert all(one == answers[0] for one in answers)


def test_several_prompts_have_a_choice_each_in_order(served):
    prompts = ["abc", "zz", "The code"]
    fields = {"ignore_eos": True}
    alone = [served.complete(prompt=one, **fields).json()["choices"] for one in prompts]

    together = served.complete(prompt=prompts, **fields).json()

    assert [choice["text"] for choice in together["choices"]] == [one["text"] for (one,) in alone]
    assert [choice["index"] for choice in together["choices"]] == [0, 1, 2]
    assert together["usage"]["prompt_tokens"] == 3 + 2 + 8
    assert together["usage"]["completion_tokens"] == 24


def test_indices_run_over_prompts_times_n(served):
    fields = {"prompt": ["abc", "zz"], "n": 3, "temperature": 1.0, "seed": 4}
    found = served.complete(**fields).json()["choices"]

    assert [choice["index"] for choice in found] == [0, 1, 2, 3, 4, 5]
    assert len({choice["text"] for choice in found}) > 2
    streamed = data_lines(served.complete(stream=True, **fields).text)
    for choice in found:
        told = [one for chunk in streamed for one in chunk["choices"]]
        told = [one for one in told if one["index"] == choice["index"]]
        assert "".join(one["text"] for one in told) == choice["text"]
        assert [one["finish_reason"] for one in told][-1] == choice["finish_reason"]
        assert sum(one["finish_reason"] is not None for one in told) == 1


def test_a_prompt_of_the_client_may_hold_control_tokens(served):
    text = "<s>user: hi</s><s>assistant: "
    tokens = served.post("/tokenize", {"prompt": text}).json()["tokens"]

    assert tokens.count(TINY.tokenizer.bos) == 2
    assert (
        served.complete(prompt=text).json()["choices"]
        == (served.complete(prompt=tokens).json()["choices"])
    )


def test_echo_puts_the_prompt_first(served):
    plain = served.complete().json()["choices"][0]["text"]

    for prompt in ("abc", TINY.tokenizer.encode("abc")):
        (choice,) = served.complete(prompt=prompt, echo=True).json()["choices"]
        assert choice["text"] == "abc" + plain
    streamed = data_lines(served.complete(echo=True, stream=True).text)
    told = [one["choices"][0]["text"] for one in streamed if one["choices"]]
    assert told[0] == "abc"
    assert "".join(told) == "abc" + plain


@pytest.mark.parametrize("most", [0, 1, 5])
def test_echoed_log_probabilities_equal_teacher_forcing(served, most):
    text = "The code of locker 4"
    (choice,) = served.complete(prompt=text, echo=True, logprobs=1, max_tokens=most).json()[
        "choices"
    ]

    told = choice["logprobs"]
    length = len(text)
    assert choice["text"][:length] == text
    assert most or len(choice["text"]) == length
    assert len(told["tokens"]) == len(told["top_logprobs"]) == length + most
    assert told["tokens"][:length] == list(text)
    assert told["text_offset"][:length] == list(range(length))
    assert told["token_logprobs"][0] is None
    assert told["top_logprobs"][0] is None
    tokens = TINY.tokenizer.encode(text)
    assert told["token_logprobs"][1:length] == pytest.approx(teacher_forced(tokens), abs=1e-4)
    for token, chance, top in zip(
        told["tokens"][1:], told["token_logprobs"][1:], told["top_logprobs"][1:], strict=True
    ):
        assert top[token] == chance
        assert max(top.values()) >= chance
        assert 1 <= len(top) <= 2


def test_a_scored_text_has_an_entry_for_its_one_decoded_token_even_if_it_ends_the_answer(served):
    end = TINY.tokenizer.end
    fields = {"prompt": "abc", "echo": True, "logprobs": 1, "max_tokens": 1}

    (choice,) = served.complete(**fields, logit_bias={str(end): 100}).json()["choices"]

    assert len(choice["logprobs"]["token_logprobs"]) == 4
    assert choice["logprobs"]["tokens"][-1] == "</s>"
    assert math.isfinite(choice["logprobs"]["token_logprobs"][-1])


def test_best_of_returns_the_likeliest(served):
    fields = {"temperature": 1.0, "seed": 3, "logprobs": 0}
    drawn = served.complete(n=4, **fields).json()["choices"]
    best = sorted(drawn, key=lambda one: -sum(one["logprobs"]["token_logprobs"]) / 8)

    found = served.complete(n=2, best_of=4, **fields).json()

    assert [one["text"] for one in found["choices"]] == [one["text"] for one in best[:2]]
    assert [one["index"] for one in found["choices"]] == [0, 1]
    assert found["usage"]["completion_tokens"] == 32


def test_the_usual_length_is_sixteen(served):
    body = {"prompt": "abc", "temperature": 0, "ignore_eos": True}

    assert served.post("/v1/completions", body).json()["usage"]["completion_tokens"] == 16


WRONG = {
    "suffix": ({"suffix": "x"}, "suffix"),
    "best_of < n": ({"n": 3, "best_of": 2}, "best_of"),
    "best_of streamed": ({"best_of": 2, "stream": True}, "best_of"),
    "no prompt": ({"prompt": []}, "prompt"),
    "an empty text": ({"prompt": [[]]}, "prompt"),
    "a token beyond the vocabulary": ({"prompt": [258]}, "prompt"),
    "a negative token": ({"prompt": [-1]}, "prompt"),
    "mixed kinds": ({"prompt": ["a", 1]}, "prompt"),
    "logprobs": ({"logprobs": 21}, "logprobs"),
    "echo of a search": ({"model": "tiny@majority-vote(n=2)", "echo": True}, "echo"),
    "too many answers": ({"prompt": ["a"] * 20, "n": 20}, "n"),
    "too many tokens": ({"max_tokens": 1 << 17}, "max_tokens"),
    "messages": ({"messages": []}, "messages"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_is_named(served, case):
    fields, param = WRONG[case]

    assert (error_of(served.complete(**fields))["param"] or "").partition(".")[0] == param
