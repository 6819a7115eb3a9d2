"""Responses: a thin layer over chat, with the same settings."""

import json

import pytest
from openai.types.responses import Response

from forethought.server.response_requests import chat_request
from forethought.server.schemas.common import SamplingFields
from forethought.server.schemas.responses_request import ResponsesRequest
from tests.server.served import QUESTION, error_of

TEXT = QUESTION[0]["content"]
BODY = {"model": "tiny", "input": TEXT, "max_output_tokens": 8, "temperature": 0}


def respond(served, **fields):
    return served.post("/v1/responses", {**BODY, **fields})


def text_of(document):
    (item,) = (one for one in document["output"] if one["type"] == "message")
    return item["content"][0]["text"]


def test_the_official_client_reads_every_field(served):
    document = respond(served).json()

    read = Response.model_validate(document, strict=False)

    assert read.output_text == served.chat().json()["choices"][0]["message"]["content"]
    assert read.status == "incomplete"
    assert read.incomplete_details.reason == "max_output_tokens"
    assert read.usage.output_tokens == 8
    assert read.usage.total_tokens == read.usage.input_tokens + 8
    assert read.temperature == 0
    assert document["store"] is False
    with served.client() as client:
        found = client.responses.create(**BODY)
    assert found.output_text == read.output_text


def test_an_answer_that_ends_is_completed(served):
    end = served.get("/tokenizer_info").json()["eos_token"]
    (token,) = served.post("/tokenize", {"prompt": end}).json()["tokens"]

    document = respond(served, logit_bias={str(token): 100}).json()

    assert document["status"] == "completed"
    assert document["incomplete_details"] is None


def test_messages_and_instructions_are_those_of_chat(served):
    items = [
        {"role": "user", "content": "One?"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "1"}]},
        {"role": "user", "content": [{"type": "input_text", "text": TEXT}]},
    ]
    found = respond(served, input=items, instructions="Be brief.").json()

    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1"},
        *QUESTION,
    ]
    wanted = served.chat(messages=messages).json()
    assert text_of(found) == wanted["choices"][0]["message"]["content"]
    assert found["usage"]["input_tokens"] == wanted["usage"]["prompt_tokens"]


SETTINGS = {
    "seed": 3,
    "temperature": 1.4,
    "top_p": 0.8,
    "top_k": 7,
    "min_p": 0.1,
    "stop": ["z"],
    "include_stop_str_in_output": True,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "repetition_penalty": 1.3,
    "logit_bias": {"65": 5},
    "min_tokens": 2,
    "ignore_eos": True,
    "stop_token_ids": [66],
    "allowed_token_ids": [60, 61, 62, 63],
    "structured_outputs": {"choice": ["a", "b"]},
    "approximate": "specpc-shallow(keep=20)",
    "search": "majority-vote(n=2)",
    "scorer": "likelihood",
    "budget": "5tok",
    "confidence": 0.5,
    "confidence_by": ["likelihood"],
    "abstain_below": 0.5,
    "spend": "auto",
    "value": "9x",
    "penalty": 0.25,
    "draft": "small",
    "document": "The code is 27. " * 9,
    "model": "small",
    "user": "me",
    "stream_events": True,
}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_of_chat_means_the_same_here(name):
    asked = ResponsesRequest(input=TEXT, **{name: SETTINGS[name]})

    passed = getattr(chat_request(asked), name)
    assert passed == getattr(asked, name)
    assert passed is not None


def test_no_setting_of_chat_is_forgotten():
    handled = {"n", "max_tokens", "response_format", "stream", "stream_options"}
    handled |= {"skip_special_tokens", "no_stop_trim", "return_hidden_states"}  # of a router

    assert SamplingFields.model_fields.keys() - handled == SETTINGS.keys()


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 1.4, "seed": 3},
        {"temperature": 1.4, "seed": 3, "top_k": 2},
        {"stop": ["j", "v"]},
        {"budget": "3tok"},
        {"document": "The code is 27. " * 9, "approximate": "specpc-shallow(keep=60)"},
        {"model": "tiny@majority-vote(n=3)", "seed": 2, "temperature": 0.9},
        {"logit_bias": {"65": 100}},
    ],
    ids=lambda fields: "+".join(fields),
)
def test_settings_change_the_answer_as_they_do_in_chat(served, fields):
    found = respond(served, **fields).json()

    wanted = served.chat(**fields).json()
    assert text_of(found) == wanted["choices"][0]["message"]["content"]
    assert found["usage"]["output_tokens"] == wanted["usage"]["completion_tokens"]
    plain = respond(served).json()
    assert text_of(found) != text_of(plain)


def events_of(text):
    """The named events of a stream; each line of a name has its line of data."""
    found = []
    for part in text.strip().split("\n\n"):
        name, data = (line.partition(": ")[2] for line in part.split("\n"))
        document = json.loads(data)
        assert document["type"] == name
        found.append(document)
    return found


@pytest.mark.parametrize("fields", [{}, {"model": "tiny@majority-vote(n=2)", "seed": 1}])
def test_a_stream_tells_what_the_whole_answer_tells(served, fields):
    whole = respond(served, **fields).json()

    found = events_of(respond(served, stream=True, **fields).text)

    kinds = [one["type"].removeprefix("response.") for one in found]
    assert [one["sequence_number"] for one in found] == list(range(len(found)))
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert found[2]["item"]["content"] == []
    assert kinds[-4:] == [
        "output_text.done", "content_part.done", "output_item.done", whole["status"],
    ]  # fmt: skip
    assert set(kinds[4:-4]) == {"output_text.delta"}
    assert "".join(one["delta"] for one in found[4:-4]) == found[-4]["text"] == text_of(whole)
    last = found[-1]["response"]
    assert last["usage"] == whole["usage"]
    assert text_of(last) == text_of(whole)
    assert {one["response"]["id"] for one in found if "response" in one} == {last["id"]}


def test_the_official_client_streams(served):
    with served.client() as client, client.responses.stream(**BODY) as stream:
        text = "".join(one.delta for one in stream if one.type == "response.output_text.delta")

    assert text == text_of(respond(served).json())


WRONG = {
    "previous_response_id": "resp_1",
    "conversation": "c",
    "background": True,
    "include": ["reasoning.encrypted_content"],
    "n": 2,
    "max_tokens": 5,
    "response_format": {"type": "json_object"},
    "truncation": "auto",
    "temperatur": 1,
    "input": [],
    "tools": [{"type": "web_search"}],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_named(served, name):
    error = error_of(respond(served, **{name: WRONG[name]}))

    assert error["param"].partition(".")[0] == name
    assert error["message"]


def test_an_error_after_the_stream_began_ends_it_as_failed(served):
    long = "x" * 3000

    error = error_of(respond(served, input=long, stream=True))

    assert error["code"] == "context_length_exceeded"
