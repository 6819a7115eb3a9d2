"""Bodies that are no request: each gets a typed error, and the server goes on."""

import json
import random

import pytest

from forethought.server.errors import ApiError
from forethought.server.json_body import parse_json
from tests.server.served import QUESTION, error_of

GOOD = {"model": "tiny", "messages": QUESTION, "max_tokens": 1, "temperature": 0}
PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/tokenize", "/detokenize"]
BODIES = {
    "nothing": b"",
    "blank": b"  \n",
    "no JSON": b"{",
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "a number": b"1",
    "trailing": json.dumps(GOOD).encode() + b"x",
    "latin-1": '{"messages": "é"}'.encode("latin-1"),
    "utf-16": json.dumps(GOOD).encode("utf-16"),
    "a BOM": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "overlong UTF-8": b'{"messages": "\xc0\xaf"}',
    "a lone surrogate": b'{"model": "tiny", "prompt": "\\ud800"}',
    "a lone surrogate, upper case": b'{"model": "tiny", "prompt": "\\uDFFF"}',
    "a surrogate as bytes": b'{"prompt": "\xed\xa0\x80"}',
    "NaN": b'{"temperature": NaN}',
    "infinity": b'{"temperature": -Infinity}',
    "a huge float": b'{"temperature": 1e999}',
    "a huge integer": b'{"max_tokens": ' + b"9" * 10_000 + b"}",
    "deep lists": b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a": ' * 5_000 + b"1" + b"}" * 5_000,
    "unclosed deep lists": b"[" * 1_000_000,
    "a control character": b'{"model": "a\nb"}',
    "zero bytes": b"\x00" * 1000,
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_request_is_refused(served, path, case):
    error_of(served.post(path, content=BODIES[case]))


def test_a_flat_object_of_legal_depth_is_read():
    assert parse_json(b'{"a": ' * 60 + b"1" + b"}" * 60)
    with pytest.raises(ApiError, match="nested"):
        parse_json(b'{"a": ' * 70 + b"1" + b"}" * 70)
    assert parse_json(b'"\\ud83d\\ude00"') == "\U0001f600"


def mutated(rng, body):
    """A request with one random change."""
    found = json.loads(json.dumps(body))
    place = found
    while isinstance(place, dict | list) and place and rng.random() < 0.7:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = rng.choice(keys)
        if not isinstance(place[key], dict | list) or rng.random() < 0.4:
            place[key] = rng.choice(VALUES)
            return found
        place = place[key]
    if isinstance(place, dict):
        place[rng.choice(NAMES)] = rng.choice(VALUES)
    return found


NAMES = [
    "n", "stop", "seed", "tools", "tool_choice", "logit_bias", "response_format", "stream_options",
    "structured_outputs", "logprobs", "top_logprobs", "echo", "best_of", "document", "approximate",
    "search", "scorer", "budget", "confidence", "draft", "model", "prompt", "messages", "input",
    "text", "reasoning", "instructions", "prediction", "content", "role", "tool_calls", "name",
    "stream_events", "chat_template_kwargs", "continue_final_message", "min_tokens", "x", "",
    "stop_token_ids", "allowed_token_ids", "tokens", "__class__", "presence_penalty",
]  # fmt: skip
VALUES = [
    None, True, False, 0, 1, -1, 2, 64, 1 << 31, 1 << 62, -(1 << 63), 0.5, 1e308, -1e-320, "", "x",
    "a" * 5000, "\x00", "\u202e", "😀", "{", "../..", "auto", "required", [], [[]], [1], ["x"],
    [None], {}, {"a": {}}, {"type": "json_object"}, {"type": "json_schema"}, {"0": 1}, {"-1": 1},
    {"x": 1}, {"json": {}}, {"regex": "("}, {"choice": ["a"]}, {"type": "object", "$ref": "#"},
    [{"type": "function", "function": {"name": "f"}}], "tiny@majority-vote(n=2)",
    "tiny+specpc(keep=8)", "likelihood", "3tok", [{"role": "user", "content": "x"}],
    [{"role": "tool", "content": "x", "tool_call_id": "y"}], {"enable_thinking": True},
]  # fmt: skip
BASES = {
    "/v1/chat/completions": GOOD,
    "/v1/completions": {"model": "tiny", "prompt": "x", "max_tokens": 1},
    "/v1/responses": {"model": "tiny", "input": "x", "max_output_tokens": 1},
    "/tokenize": {"prompt": "x"},
    "/detokenize": {"tokens": [1, 2]},
}


@pytest.mark.parametrize("path", BASES)
def test_random_changes_of_a_request_are_answered_or_refused_with_a_reason(served, path):
    rng = random.Random(path)
    for _ in range(150):
        body = mutated(rng, mutated(rng, BASES[path]))
        reply = served.http.post(path, json=body)
        if reply.status_code != 200:
            assert reply.status_code in (400, 404), (body, reply.text)
            assert error_of(reply, reply.status_code)["message"], body


def test_the_server_goes_on(served):
    assert served.chat(max_tokens=1).status_code == 200
    assert served.server.engine.in_progress == 0


def test_problems_are_told_in_the_words_of_json(served):
    digits = served.post("/v1/chat/completions", content=b'{"seed": %s}' % (b"9" * 5000))
    assert "a number has 5,000 digits" in error_of(digits)["message"]
    for path, field in (("/v1/chat/completions", "messages"), ("/v1/responses", "input")):
        stored = error_of(served.post(path, {"model": "tiny", field: [], "store": True}))
        assert (stored["param"], stored["code"]) == ("store", "unsupported_parameter")
        assert "true is not supported" in stored["message"]
        assert "send the whole conversation" in stored["hint"]
    options = error_of(served.chat(include_reasoning=False))
    assert options["message"].startswith("include_reasoning: it must be true")
    many = error_of(served.complete(prompt=["hi"] * 3000))
    assert many["message"].startswith("prompt: 3,000 items are given, and 1,024 are allowed")
    endless = {"type": "json_schema", "json_schema": {"schema": {"$ref": "#"}}}
    assert "refers to itself" in error_of(served.chat(response_format=endless))["message"]
