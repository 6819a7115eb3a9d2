"""Tokens and texts in vLLM's shape, as lm-eval reads them."""

import pytest

from tests.server.served import MODELS, QUESTION, error_of

TINY = MODELS["tiny"]


def test_a_text_becomes_the_tokens_of_the_model(served):
    found = served.post("/tokenize", {"prompt": "ab c", "add_special_tokens": False}).json()

    assert found == {
        "count": 4,
        "max_model_len": TINY.shape.context,
        "tokens": TINY.tokenizer.encode("ab c"),
        "token_strs": None,
    }


def test_names_of_tokens_are_told_on_demand(served):
    found = served.post("/tokenize", {"prompt": "a b", "return_token_strs": True}).json()

    assert found["token_strs"] == ["a", "Ġ", "b"]


def test_control_tokens_in_a_text_are_single_tokens(served):
    for name in ("bos_token", "eos_token"):
        text = served.get("/tokenizer_info").json()[name]
        (token,) = served.post("/tokenize", {"prompt": text}).json()["tokens"]
        assert TINY.tokenizer.text_of(token) == text


def test_messages_become_the_prompt_of_a_chat(served):
    found = served.post("/tokenize", {"messages": QUESTION}).json()

    answer = served.chat(max_tokens=1).json()
    assert found["count"] == answer["usage"]["prompt_tokens"] == len(found["tokens"])
    text = served.post("/detokenize", {"tokens": found["tokens"]}).json()["prompt"]
    assert text == f"<s>user: {QUESTION[0]['content']}</s><s>assistant: "


@pytest.mark.parametrize("text", ["", "abc", "é 😀 \x00", "<s>a</s>", "  x\n\t"])
def test_tokens_become_the_text_again(served, text):
    tokens = served.post("/tokenize", {"prompt": text}).json()["tokens"]

    assert served.post("/detokenize", {"tokens": tokens}).json() == {"prompt": text}


def test_half_a_character_has_a_text_too(served):
    tokens = TINY.tokenizer.encode("😀")

    assert served.post("/detokenize", {"tokens": tokens[:2]}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"prompt": "x", "messages": QUESTION}, {"prompt": 1}, {"prompt": "x", "x": 1},
     {"messages": []}, {"prompt": "x", "model": 1}],
    ids=str,
)  # fmt: skip
def test_wrong_requests_are_refused(served, body):
    error_of(served.http.post("/tokenize", json=body))


def test_unknown_models_and_tokens_are_refused(served):
    error_of(served.post("/tokenize", {"prompt": "x", "model": "big"}), 404)
    error_of(served.post("/detokenize", {"tokens": [258]}))
    error_of(served.post("/detokenize", {"tokens": [-1]}))
    error_of(served.post("/detokenize", {"tokens": "x"}))


def test_another_model_has_its_own_tokens(served):
    assert served.post("/tokenize", {"prompt": "x", "model": "small"}).status_code == 200
