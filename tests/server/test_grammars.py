"""Structured answers over HTTP: formats are followed, and bad ones are refused at once."""

import json

import pytest

from tests.server.served import error_of

SCHEMA = {
    "type": "object",
    "properties": {"sure": {"type": "boolean"}, "code": {"enum": ["ab", "cd"]}},
    "required": ["sure", "code"],
    "additionalProperties": False,
}


def wanted(schema):
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


@pytest.mark.parametrize("n", [1, 3])
def test_every_choice_follows_the_schema(served, n):
    fields = {"n": n, "temperature": 1.0, "seed": 2, "max_tokens": 60}

    found = served.chat(response_format=wanted(SCHEMA), **fields).json()

    assert len(found["choices"]) == n
    for choice in found["choices"]:
        assert choice["finish_reason"] == "stop"
        value = json.loads(choice["message"]["content"])
        assert list(value) == ["sure", "code"]
        assert value["code"] in ("ab", "cd")


def test_a_choice_among_texts_is_one_of_them(served):
    found = served.chat(structured_outputs={"choice": ["left", "right"]}, max_tokens=20).json()

    assert found["choices"][0]["message"]["content"] in ("left", "right")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"type": "array", "uniqueItems": True},
        {"$ref": "file:///etc/hostname"},
        {"type": "integer", "multipleOf": 9_999_991},
    ],
)
def test_a_schema_that_cannot_be_used_is_an_error_of_the_request(served, schema, monkeypatch):
    asked = []
    monkeypatch.setattr(served.session, "submit", asked.append)

    found = served.chat(response_format=wanted(schema))

    assert found.status_code == 400
    assert error_of(found)["param"] == "response_format"
    assert "JSON schema" in error_of(found)["message"]
    assert not asked


def test_token_ids_beyond_the_vocabulary_are_an_error_of_the_request(served):
    found = served.chat(logit_bias={"1000000": 5})

    assert found.status_code == 400
    assert "vocabulary" in error_of(found)["message"]
