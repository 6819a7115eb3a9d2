"""Tool calls, reasoning and formats of answers, on a template that has them."""

import json
import re
from dataclasses import replace

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.server.served import QUESTION, data_lines, error_of, serving
from tests.tiny_model import tiny_model

TEMPLATE = (
    "{% if tools %}<s>system: Tools: {% for t in tools %}{{ t | tojson }}{% endfor %}"
    "Call them as <tool_call>{...}</tool_call>.</s>{% endif %}"
    "{% for m in messages %}<s>{{ m.role }}: "
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    "{% if m.content %}{{ m.content }}{% endif %}"
    "{% for c in m.tool_calls or [] %}<tool_call>\n"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    "\n</tool_call>{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: "
    "{% if enable_thinking is defined and enable_thinking %}<think>\n{% endif %}{% endif %}"
)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome", "Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},
    {"type": "function", "function": {"name": "time", "parameters": {"type": "object"}}},
]


@pytest.fixture(scope="module")
def tooled():
    models = {name: replace(tiny_model(name, seed=n), template=TEMPLATE)
              for n, name in enumerate(("tiny", "small"))}  # fmt: skip
    with serving(models) as running:
        yield running


def forced(served, **fields):
    choice = {"type": "function", "function": {"name": "weather"}}
    return served.chat(tools=TOOLS, tool_choice=choice, max_tokens=200, **fields)


def test_a_demanded_call_is_made_and_fits_its_schema(tooled):
    read = ChatCompletion.model_validate(forced(tooled).json(), strict=True)

    (choice,) = read.choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Rome", "Oslo")
    assert re.fullmatch(r"[A-Za-z0-9]{9}", call.id)


def test_a_streamed_call_is_that_of_the_whole_answer(tooled):
    whole = forced(tooled).json()["choices"][0]["message"]["tool_calls"]

    chunks = data_lines(forced(tooled, stream=True).text)

    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    (told,) = (one["tool_calls"] for one in deltas if "tool_calls" in one)
    assert told[0].pop("index") == 0
    assert [one["function"] for one in told] == [one["function"] for one in whole]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert not "".join(one.get("content") or "" for one in deltas)


def test_the_official_client_reads_a_streamed_call(tooled):
    choice = {"type": "function", "function": {"name": "weather"}}
    strict = [{"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}]
    with tooled.client().chat.completions.stream(
        model="tiny", messages=QUESTION, tools=strict, tool_choice=choice, max_tokens=200
    ) as stream:
        final = stream.get_final_completion()

    (call,) = final.choices[0].message.tool_calls
    assert call.function.parsed_arguments["city"] in ("Rome", "Oslo")


def test_a_demanded_call_is_made_on_responses_too(tooled):
    body = {
        "model": "tiny",
        "input": QUESTION[0]["content"],
        "tools": [{"type": "function", "name": "weather", "parameters": SCHEMA}],
        "tool_choice": {"type": "function", "name": "weather"},
        "max_output_tokens": 200,
    }
    (item,) = tooled.post("/v1/responses", body).json()["output"]

    assert (item["type"], item["name"]) == ("function_call", "weather")
    assert json.loads(item["arguments"])["city"] in ("Rome", "Oslo")
    lines = tooled.post("/v1/responses", {**body, "stream": True}).text.split("\n")
    found = [line.removeprefix("event: response.") for line in lines if line[:6] == "event:"]
    assert found == [
        "created", "in_progress", "output_item.added", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done", "completed",
    ]  # fmt: skip


def test_a_round_of_tools_is_read(tooled):
    call = {"id": "abcdefghi", "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}  # fmt: skip
    messages = [
        *QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "sunny", "tool_call_id": "abcdefghi"},
    ]
    assert tooled.chat(messages=messages, tools=TOOLS).status_code == 200
    tokens = tooled.post("/tokenize", {"messages": messages, "tools": TOOLS}).json()["tokens"]
    text = tooled.post("/detokenize", {"tokens": tokens}).json()["prompt"]
    assert '"arguments": {"city": "Rome"}' in text
    assert "tool: sunny" in text
    items = [
        *QUESTION,
        {"type": "function_call", "call_id": "abcdefghi", "name": "weather",
         "arguments": '{"city": "Rome"}'},
        {"type": "function_call_output", "call_id": "abcdefghi", "output": "sunny"},
    ]  # fmt: skip
    found = tooled.post("/v1/responses", {"input": items, "max_output_tokens": 2}).json()
    wanted = tooled.chat(messages=messages, max_tokens=2).json()
    assert found["usage"]["input_tokens"] == wanted["usage"]["prompt_tokens"]


WRONG = {
    "an unknown tool": ({"tool_choice": {"type": "function", "function": {"name": "x"}}}, 400),
    "a bad name": ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, 400),
    "twice": ({"tools": [TOOLS[0], TOOLS[0]]}, 400),
    "another type": ({"tools": [{"type": "retrieval"}]}, 400),
    "a format too": ({"tool_choice": "required", "response_format": {"type": "json_object"}}, 400),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_tools_are_refused(tooled, case):
    fields, status = WRONG[case]

    error_of(tooled.chat(**{"tools": TOOLS, **fields}), status)


def test_a_template_without_tools_refuses_them(served):
    assert "no tools" in error_of(served.chat(tools=TOOLS))["message"]


def biased(served, text, **fields):
    """An answer that a regular expression forces to be this text."""
    return served.chat(structured_outputs={"regex": re.escape(text)}, max_tokens=200, **fields)


def test_reasoning_comes_apart_from_content(tooled):
    text = "<think>two steps</think>it is 27"
    whole = biased(tooled, text).json()

    message = whole["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"] == "two steps"
    assert message["content"] == "it is 27"
    counted = whole["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert 0 < counted < whole["usage"]["completion_tokens"]
    chunks = data_lines(biased(tooled, text, stream=True).text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(one.get("reasoning", "") for one in deltas) == "two steps"
    assert "".join(one.get("content", "") for one in deltas) == "it is 27"


def test_reasoning_is_an_item_of_a_response(tooled):
    body = {
        "input": QUESTION[0]["content"],
        "structured_outputs": {"regex": "<think>why</think>27"},
        "max_output_tokens": 100,
    }
    document = tooled.post("/v1/responses", body).json()

    reasoning, message = document["output"]
    assert (reasoning["type"], reasoning["content"][0]["text"]) == ("reasoning", "why")
    assert (message["type"], message["content"][0]["text"]) == ("message", "27")
    assert document["usage"]["output_tokens_details"]["reasoning_tokens"] > 0
    with tooled.client() as client, client.responses.stream(model="tiny", **{
        "input": body["input"], "max_output_tokens": 100,
        "extra_body": {"structured_outputs": body["structured_outputs"]},
    }) as stream:  # fmt: skip
        final = [event for event in stream][-1].response
    assert [item.type for item in final.output] == ["reasoning", "message"]
    assert final.output_text == "27"


def test_a_template_that_opens_the_reasoning_is_followed(tooled):
    options = {"chat_template_kwargs": {"enable_thinking": True}}

    for fields in (options, {"reasoning_effort": "high"}):
        message = biased(tooled, "why</think>27", **fields).json()["choices"][0]["message"]
        assert (message["reasoning"], message["content"]) == ("why", "27")
    off = biased(tooled, "27", reasoning_effort="none").json()["choices"][0]["message"]
    assert "reasoning" not in off


FORMATS = {
    "a schema": (
        {"response_format": {"type": "json_schema", "json_schema": {
            "name": "A", "schema": SCHEMA, "description": None, "strict": None}}},
        lambda text: json.loads(text)["city"] in ("Rome", "Oslo"),
    ),
    "a choice": ({"structured_outputs": {"choice": ["yes", "no"]}},
                 lambda text: text in ("yes", "no")),
    "a pattern": ({"structured_outputs": {"regex": "[a-c]{3}[0-9]"}},
                  lambda text: re.fullmatch("[a-c]{3}[0-9]", text)),
    "a schema of vLLM": ({"structured_outputs": {"json": SCHEMA}},
                         lambda text: json.loads(text)["city"] in ("Rome", "Oslo")),
    "a grammar": ({"structured_outputs": {"grammar": 'start: "a" "b"+ "c"'}},
                  lambda text: re.fullmatch("ab+c", text)),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMATS)
def test_an_answer_has_the_demanded_format(served, case):
    fields, fits = FORMATS[case]

    for seed in range(3):
        given = {"temperature": 1.0, "seed": seed, "max_tokens": 300, **fields}
        (choice,) = served.chat(**given).json()["choices"]
        assert choice["finish_reason"] == "stop"
        assert fits(choice["message"]["content"])


def test_any_object_may_be_demanded(served):
    found = served.chat(response_format={"type": "json_object"}, max_tokens=300, seed=1,
                        temperature=1.0).json()  # fmt: skip

    assert found["choices"][0]["message"]["content"].lstrip()[:1] in ("", "{")


BAD_FORMATS = [
    {"response_format": {"type": "json_schema"}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x",
                                                                "schema": {"type": 5}}}},
    {"response_format": {"type": "xml"}},
    {"structured_outputs": {"regex": "("}},
    {"structured_outputs": {"regex": ""}},
    {"structured_outputs": {"choice": []}},
    {"structured_outputs": {"grammar": "start: %"}},
    {"structured_outputs": {"regex": "a", "choice": ["a"]}},
    {"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}},
    {"guided_json": {}},
]  # fmt: skip


@pytest.mark.parametrize("fields", BAD_FORMATS, ids=str)
def test_formats_that_cannot_be_followed_are_refused(served, fields):
    error_of(served.chat(**fields))
