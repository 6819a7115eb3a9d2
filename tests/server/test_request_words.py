"""Errors over HTTP: plain words, and hints that name fields of the request, never options."""

from __future__ import annotations

import re
import socket

import pytest

from forethought.recipes.validation import no_draft, no_scorer
from forethought.server.errors import as_api_error
from forethought.server.request_words import as_fields, request_hint
from forethought.sessions.engine_thread import BusyError
from tests.server.served import Served, error_of

OPTION = re.compile(r"(^|\s)--?[a-z]|forethought [a-z]")


@pytest.mark.parametrize("fields", [
    {"search": "best-of-n"}, {"search": "cascade", "draft": "self"}, {"scorer": "likelihood"},
    {"approximate": "embedding"}, {"approximate": "specpc(keep=0)"}, {"approximate": "specpc(no)"},
    {"approximate": "auto", "search": "majority-vote"}, {"approximate": "nosuch"},
    {"budget": "$1"}, {"budget": "much"}, {"search": "majority-vote", "logprobs": True},
    {"search": "majority-vote", "n": 2},
])  # fmt: skip
def test_no_error_of_a_request_names_an_option(served: Served, fields: dict[str, object]) -> None:
    error = error_of(served.chat(**fields))

    assert error["hint"]
    assert not OPTION.search(error["message"])


HINTS = {
    no_scorer().hint: "name one with scorer, or in a recipe behind an @, such as "
    "best-of-n@likelihood; see: GET /v1/catalogue",
    no_draft().hint: "name the smaller one with draft, and with model a larger one that runs here "
    "too",
    "name one with -d, such as -d small": 'name one with draft, such as "draft": "small"',
    "limit answers with --max-tokens": "limit answers with max_tokens",
    "see: forethought show specpc": "see: GET /v1/catalogue",
    "see: forethought list models": "see: GET /v1/models",
    "give the budget in tokens, or state its price with --price": "give the budget in tokens",
    "choose --weights bf16": "ask the operator of this server",
    "use keep=2 or fewer": "use keep=2 or fewer",
    "": "",
}


@pytest.mark.parametrize("hint", HINTS)
def test_hints_name_fields_and_paths(hint: str) -> None:
    assert request_hint(hint) == HINTS[hint]


def test_messages_name_fields() -> None:
    assert as_fields("--logprobs and --keep-stop need -m") == (
        "logprobs and include_stop_str_in_output need model"
    )
    assert as_fields("'--logprobs' is x-y-z of a-b -9") == "'--logprobs' is x-y-z of a-b -9"


def test_a_full_queue_names_no_option() -> None:
    assert not OPTION.search(as_api_error(BusyError(3, 1)).document()["error"]["message"])


@pytest.mark.parametrize(("fields", "told"), [
    ({"stop": ["x"] * 17}, "stop: 17 items are given, and 16 are allowed"),
    ({"stop": "x" * 2000}, "stop: 2,000 characters are given, and 1,024 are allowed"),
    ({"stop": [""]}, "stop.0: it is empty"),
    ({"logit_bias": {"٣": 1}}, "logit_bias.٣: string should match"),
    ({"repetition_penalty": 1e-300}, "repetition_penalty: input should be greater"),
    ({"budget": "٣tok"}, "the budget '٣tok' is not an amount"),
    ({"structured_outputs": {"choice": ["x"] * 2000}}, "2,000 items are given, and 1,999 are"),
])  # fmt: skip
def test_wrong_fields_are_told_in_plain_words(
    served: Served, fields: dict[str, object], told: str
) -> None:
    assert told in error_of(served.chat(**fields))["message"]


@pytest.mark.parametrize(("prompt", "told"), [
    ([], "prompt: it is empty"), ([[]], "prompt.0: it is empty"),
    ([[1], []], "prompt.1: it is empty"), ({"a": 1}, "prompt: input should be a valid string"),
])  # fmt: skip
def test_prompts_that_are_empty_or_no_text_say_so(
    served: Served, prompt: object, told: str
) -> None:
    assert told in error_of(served.complete(prompt=prompt))["message"]


def test_decisions_with_too_many_answers_say_so(served: Served) -> None:
    options = {str(number): None for number in range(300)}
    questions = {"a": {"type": "choice", "criteria": options}}

    body = {"model": "tiny", "state": "x", "questions": questions}
    (problem,) = served.post("/v1/systemone", body).json()["detail"]

    assert problem["msg"] == "300 items are given, and 255 are allowed"


def test_the_most_permitted_answers_have_a_grammar(served: Served) -> None:
    choices = [f"answer {number}" for number in range(1999)]

    found = served.chat(structured_outputs={"choice": choices}, max_tokens=40, temperature=1).json()

    assert found["choices"][0]["message"]["content"] in choices


def test_confidence_without_a_search_is_noted(served: Served) -> None:
    noted = "confidence without a search: adaptive(enough=0.5) samples until its answers agree"

    assert noted in served.chat(confidence=0.5).json()["forethought"]["notes"]
    assert noted in served.complete(confidence=0.5).json()["forethought"]["notes"]
    named = served.chat(confidence=0.5, search="adaptive").json()
    assert noted not in named["forethought"]["notes"]


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/v1/models", "/v1/models/tiny"])
def test_head_answers_where_get_does(served: Served, path: str) -> None:
    reply = served.http.head(path)

    assert (reply.status_code, reply.content) == (200, b"")


@pytest.mark.parametrize("body", [b"2\r\n{}\r\n0\r\n\r\n", b"{}", b""])
def test_a_body_of_two_lengths_is_refused(served: Served, body: bytes) -> None:
    head = (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n")  # fmt: skip
    with socket.create_connection(served.place, timeout=20) as connection:
        connection.sendall(head + body)
        found = b"".join(iter(lambda: connection.recv(65536), b""))

    assert found.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Length and Transfer-Encoding" in found
