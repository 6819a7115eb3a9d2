"""What the official `openai` client does with the server: every call that it has for our routes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from enum import Enum

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.server.served import MODELS, QUESTION, serving

HERMES = (
    "{% if tools %}<s>system: {% for one in tools %}{{ one | tojson }}{% endfor %} Call by "
    '<tool_call>\n{"name": NAME, "arguments": {}}\n</tool_call></s>{% endif %}'
    "{% for m in messages %}<s>{{ m.role }}: {{ m.content or '' }}"
    "{% for call in m.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n'
    "</tool_call>{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
"""A chat template with tools, in the format that most open models use."""
ASKED = {"model": "tiny", "messages": QUESTION, "max_tokens": 8, "temperature": 0}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"unit": {"enum": ["C", "F"]}},
            "required": ["unit"],
            "additionalProperties": False,
        },
    },
}


class Unit(Enum):
    """A closed choice, so that a random model ends."""

    C = "C"
    F = "F"


class Weather(BaseModel):
    """A structured answer."""

    unit: Unit
    sunny: bool


@pytest.fixture(scope="module")
def client(served):
    with served.client() as found:
        yield found


@pytest.fixture(scope="module")
def tool_client():
    models = {**MODELS, "tiny": replace(MODELS["tiny"], template=HERMES)}
    with serving(models) as running, running.client() as found:
        yield found


def test_models_are_listed_and_found_by_name(client):
    listed = [one.id for one in client.models.list()]

    assert "tiny" in listed
    assert client.models.retrieve("tiny").object == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("huge")


def test_a_stream_tells_the_answer_and_its_usage(client):
    whole = client.chat.completions.create(**ASKED)
    options = {"stream": True, "stream_options": {"include_usage": True}}

    *chunks, last = client.chat.completions.create(**ASKED, **options)

    text = "".join(one.choices[0].delta.content or "" for one in chunks)
    assert text == whole.choices[0].message.content
    assert last.choices == []
    assert last.usage == whole.usage


def test_the_stream_helper_gathers_the_answer(client):
    text = client.chat.completions.create(**ASKED).choices[0].message.content
    stop = next(letter for letter in text[2:] if letter not in text[:2])

    with client.chat.completions.stream(**ASKED, stop=[stop]) as stream:
        events = list(stream)
        final = stream.get_final_completion()

    assert final.choices[0].finish_reason == "stop"
    assert final.choices[0].message.content == text.partition(stop)[0]
    told = "".join(one.delta for one in events if one.type == "content.delta")
    assert told == text.partition(stop)[0]


def test_leaving_a_stream_ends_its_request(served, client):
    stream = client.chat.completions.create(
        **{**ASKED, "max_tokens": 1500, "temperature": 1.0}, stream=True, seed=1
    )
    next(iter(stream))

    stream.close()
    client.chat.completions.create(**ASKED)

    for _ in range(2000):
        if not served.server.engine.in_progress:
            break
        client.models.list()
    assert served.server.engine.in_progress == 0


def test_several_choices_with_log_probabilities(client):
    found = client.chat.completions.create(
        **{**ASKED, "temperature": 1.0}, n=3, seed=2, logprobs=True, top_logprobs=2
    )

    assert [one.index for one in found.choices] == [0, 1, 2]
    for one in found.choices:
        assert len(one.logprobs.content) == 8
        assert all(len(entry.top_logprobs) == 2 for entry in one.logprobs.content)


def test_our_own_fields_are_an_extra_body(client):
    extra = {"search": "majority-vote(n=3)", "budget": "60tok"}

    found = client.chat.completions.create(**ASKED, extra_body=extra)
    named = client.chat.completions.create(**{**ASKED, "model": "tiny@majority-vote(n=3)"})

    for one in (found, named):
        assert one.model_extra["forethought"]["recipe"] == "tiny@majority-vote(n=3)"


def test_a_schema_gives_a_parsed_answer(client):
    found = client.chat.completions.parse(**{**ASKED, "max_tokens": 200}, response_format=Weather)

    parsed = found.choices[0].message.parsed
    assert isinstance(parsed, Weather)
    assert found.choices[0].finish_reason == "stop"


def test_an_answer_cut_short_of_its_schema_is_the_clients_error(client):
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(**{**ASKED, "max_tokens": 3}, response_format=Weather)


def test_json_without_a_schema(client):
    found = client.chat.completions.create(
        **{**ASKED, "max_tokens": 40}, response_format={"type": "json_object"},
        logit_bias={"92": 5},  # the closing brace, so that a random model ends
    )  # fmt: skip

    assert found.choices[0].message.content.lstrip().startswith("{")


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_forced_tool_call_has_its_arguments(tool_client, choice):
    found = tool_client.chat.completions.create(
        **{**ASKED, "max_tokens": 200}, tools=[TOOL], tool_choice=choice, parallel_tool_calls=False
    )

    [one] = found.choices
    assert one.finish_reason == "tool_calls"
    [call] = one.message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["unit"] in ("C", "F")


def test_a_streamed_tool_call_is_gathered_by_the_client(tool_client):
    with tool_client.chat.completions.stream(
        **{**ASKED, "max_tokens": 200},
        tools=[{**TOOL, "function": {**TOOL["function"], "strict": True}}],
        tool_choice="required",
        parallel_tool_calls=False,
    ) as stream:
        final = stream.get_final_completion()

    [call] = final.choices[0].message.tool_calls
    assert call.function.parsed_arguments["unit"] in ("C", "F")


def test_the_result_of_a_tool_is_part_of_the_conversation(tool_client):
    called = tool_client.chat.completions.create(
        **{**ASKED, "max_tokens": 200}, tools=[TOOL], tool_choice="required",
        parallel_tool_calls=False,
    ).choices[0].message  # fmt: skip
    answer = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "sunny"}

    messages = [*QUESTION, called, answer]
    found = tool_client.chat.completions.create(**{**ASKED, "messages": messages}, tools=[TOOL])

    alone = tool_client.chat.completions.create(**ASKED, tools=[TOOL])
    assert found.usage.prompt_tokens > alone.usage.prompt_tokens + len("sunny")


def test_tools_without_a_template_for_them_are_refused(client):
    with pytest.raises(openai.BadRequestError, match="has no tools"):
        client.chat.completions.create(**ASKED, tools=[TOOL])


def test_completions_echo_the_prompt_with_its_log_probabilities(client):
    found = client.completions.create(
        model="tiny", prompt="The code", max_tokens=1, temperature=0, echo=True, logprobs=1
    )

    [one] = found.choices
    assert one.text.startswith("The code")
    told = one.logprobs
    assert len(told.tokens) == len(told.token_logprobs) == len("The code") + 1
    assert told.token_logprobs[0] is None
    pairs = zip(told.token_logprobs[1:], told.top_logprobs[1:], strict=True)
    assert all(chance <= max(top.values()) <= 0 for chance, top in pairs)


def test_several_prompts_stream_their_choices(client):
    fields = {"model": "tiny", "prompt": ["abc", "xyz"], "max_tokens": 5, "temperature": 0}
    whole = client.completions.create(**fields)

    texts = ["", ""]
    for chunk in client.completions.create(**fields, stream=True):
        for one in chunk.choices:
            texts[one.index] += one.text

    assert texts == [one.text for one in whole.choices]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"model": "huge"}, openai.NotFoundError, "huge"),
        ({"model": "tiny+snap-kv"}, openai.BadRequestError, "did you mean snapkv"),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"extra_body": {"temprature": 1}}, openai.BadRequestError, "temprature"),
        ({"messages": [{"role": "user", "content": "x" * 4000}]},
         openai.BadRequestError, "2,048"),
    ],
)  # fmt: skip
def test_errors_are_the_clients_exceptions(client, changes, error, said):
    with pytest.raises(error, match=said) as told:
        client.chat.completions.create(**{**ASKED, **changes})

    assert told.value.type == (
        "not_found_error" if error is openai.NotFoundError else "invalid_request_error"
    )
    assert told.value.body["message"]


def test_a_prompt_beyond_the_context_has_the_code_that_frameworks_read(client):
    long = [{"role": "user", "content": "x" * 4000}]

    with pytest.raises(openai.BadRequestError) as told:
        client.chat.completions.create(**{**ASKED, "messages": long})

    assert told.value.code == "context_length_exceeded"


def test_a_wrong_key_is_an_authentication_error():
    with serving(keys=("right",)) as running:
        with pytest.raises(openai.AuthenticationError):
            running.client(api_key="wrong").chat.completions.create(**ASKED)
        assert running.client(api_key="right").models.list().data


def test_asynchronous_calls_at_once_get_the_answers_of_calls_alone(served, client):
    questions = [[{"role": "user", "content": f"Question {n}"}] for n in range(8)]

    async def all_at_once():
        async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as found:
            calls = [
                found.chat.completions.create(**{**ASKED, "messages": one}) for one in questions
            ]
            return [one.choices[0].message.content for one in await asyncio.gather(*calls)]

    alone = [
        client.chat.completions.create(**{**ASKED, "messages": one}).choices[0].message.content
        for one in questions
    ]
    assert asyncio.run(all_at_once()) == alone


def test_responses_tell_the_same_answer(client):
    whole = client.chat.completions.create(**ASKED)

    found = client.responses.create(
        model="tiny", input=QUESTION[0]["content"], max_output_tokens=8, temperature=0
    )

    assert found.output_text == whole.choices[0].message.content
    assert found.usage.output_tokens == whole.usage.completion_tokens


def test_a_stream_of_responses_tells_the_same_text(client):
    fields = {"model": "tiny", "input": "Hello", "max_output_tokens": 8, "temperature": 0}
    whole = client.responses.create(**fields)

    events = list(client.responses.create(**fields, stream=True))

    told = "".join(one.delta for one in events if one.type == "response.output_text.delta")
    assert told == whole.output_text
    assert events[-1].type in ("response.completed", "response.incomplete")
    assert events[-1].response.output_text == whole.output_text
