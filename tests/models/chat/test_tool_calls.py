"""Tool calls are read from text in any pieces; text that is no call stays content."""

from __future__ import annotations

import json
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.contracts.errors import (
    BadParameterError,
    ConversationRefusedError,
    UnknownNameError,
)
from forethought.models.chat.answer import AnswerReader, ReasoningDelta, visible_tokens
from forethought.models.chat.call_formats import CallFormat, call_format
from forethought.models.chat.call_grammars import call_grammar
from forethought.models.chat.messages import Message, ToolCall, messages_prompt
from forethought.models.chat.reasoning import ReasoningMarkers
from forethought.models.chat.tool_calls import (
    CallDelta,
    TextDelta,
    ToolCallParser,
    ToolUse,
    call_ids,
)
from forethought.models.tokenization.grammar import grammar_constraint
from forethought.models.tokenization.tokenizer import Tokenizer
from tests.models.chat.templates import (
    CLOCK,
    DEEPSEEK,
    GEMMA,
    HERMES,
    LLAMA,
    MISTRAL,
    WEATHER,
    XML,
)
from tests.models.tiny_tokenizers import byte_level

FORMATS: tuple[CallFormat, ...] = ("hermes", "llama", "mistral", "qwen-xml")
TOOLS = [WEATHER, CLOCK]
HERMES_CALL = (
    '<tool_call>\n{"name": "get_weather", "arguments": {"city": "</tool_call>"}}\n</tool_call>'
)
WRITTEN = {
    "hermes": [HERMES_CALL, '<tool_call>{"name": "clock", "arguments": "{}"}</tool_call>'],
    "llama": ['{"name": "get_weather", "parameters": {"city": "}\\"{"}}', '; {"name": "clock"}'],
    "mistral": [
        '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "]"}, "id": "123456789"}, '
        '{"name": "clock", "arguments": {}}]'
    ],
    "qwen-xml": [
        "<tool_call>\n<function=get_weather>\n<parameter=city>\n12\n</parameter>\n"
        "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
        "\n<tool_call><function=clock></function></tool_call>",
    ],
}
READ: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "hermes": [("get_weather", {"city": "</tool_call>"}), ("clock", {})],
    "llama": [("get_weather", {"city": '}"{'}), ("clock", {})],
    "mistral": [("get_weather", {"city": "]"}), ("clock", {})],
    "qwen-xml": [("get_weather", {"city": "12", "days": 3}), ("clock", {})],
}

Deltas = list[TextDelta | CallDelta]


def parser(written: CallFormat) -> ToolCallParser:
    return ToolCallParser(written, TOOLS, call_ids("request"))


def read(
    written: CallFormat, text: str, cuts: list[int] | None = None
) -> tuple[str, list[ToolCall]]:
    """The content and the calls of a text that comes in pieces."""
    reader = parser(written)
    ends = [0, *sorted(cut % (len(text) + 1) for cut in cuts or ()), len(text)]
    found: Deltas = []
    for start, stop in pairwise(ends):
        found += reader.push(text[start:stop])
    found += reader.finish()
    calls = [one for one in found if isinstance(one, CallDelta)]
    assert [one.index for one in calls] == list(range(len(calls)))
    content = "".join(one.text for one in found if isinstance(one, TextDelta))
    return content, [one.call for one in calls]


def meant(calls: list[ToolCall]) -> list[tuple[str, Any]]:
    return [(call.name, json.loads(call.arguments)) for call in calls]


@pytest.mark.parametrize("written", FORMATS)
def test_calls_are_read_in_order_with_ids_of_their_own(written: CallFormat) -> None:
    content, calls = read(written, "".join(WRITTEN[written]) + "\n")

    assert content == ""
    assert meant(calls) == READ[written]
    assert [call.id for call in calls] == list(islice(call_ids("request"), 2))


@pytest.mark.parametrize("written", ["hermes", "mistral", "qwen-xml"])
def test_content_before_and_after_calls_stays(written: CallFormat) -> None:
    content, calls = read(written, f"Let me see.\n\n{WRITTEN[written][0]}\nDone. ")

    assert content == "Let me see.\nDone. "
    assert meant(calls)[0] == READ[written][0]


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ('[TOOL_CALLS]clock[ARGS]{"a": 1}', ("clock", {"a": 1})),
        ('[TOOL_CALLS]clock[CALL_ID]123456789[ARGS]{"a": 1}', ("clock", {"a": 1})),
        ('[TOOL_CALLS] clock {"a": {"b": "}"}}', ("clock", {"a": {"b": "}"}})),
    ],
)
def test_mistral_calls_may_be_named_before_their_arguments(text: str, call: Any) -> None:
    assert meant(read("mistral", text * 2)[1]) == [call, call]


def test_a_llama_call_may_stand_after_its_tag() -> None:
    text = '<|python_tag|>{"name": "clock", "parameters": {}}'

    assert meant(read("llama", text)[1]) == [("clock", {})]


@pytest.mark.parametrize("written", ["hermes", "llama"])
def test_a_call_at_the_start_may_lack_its_tag(written: CallFormat) -> None:
    call = '{"name": "clock", "arguments": {"a": 1}}'

    assert read(written, f"\n{call}\n{call}") == ("", read(written, f"{call}{call}")[1])
    assert meant(read(written, call)[1]) == [("clock", {"a": 1})]
    assert read(written, f"It is {call}") == (f"It is {call}", [])
    assert read("mistral", call) == (call, [])


MALFORMED = [
    ("hermes", '{"city": "Oslo"}'),
    ("hermes", '{"name": "unknown", "arguments": {}} '),
    ("hermes", "<tool_call>hello</tool_call>"),
    ("hermes", " <tool_call>\n{'name': 'clock'}\n</tool_call> and more"),
    ("hermes", '<tool_call>{"name": "clock", "arguments": [1]}</tool_call>'),
    ("hermes", '<tool_call>{"name": "clock", "arguments": {"a": NaN}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": 7, "arguments": {}}</tool_call>'),
    ("hermes", '<tool_call>{"name": "clock", "arguments": {"a": 1'),
    ("hermes", '<tool_call>{"name": "clock", "arguments": ' + '{"a":' * 9999 + "}" * 99999),
    ("hermes", "<tool_call>"),
    ("hermes", "a <tool"),
    ("llama", "{"),
    ("llama", '{"name": "Bob", "parameters": {"age": 7}}'),
    ("llama", '{"city": "Oslo"}'),
    ("llama", 'It is {"name": "clock", "parameters": {}}'),
    ("llama", '<|python_tag|>brave_search.call(query="a")'),
    ("llama", '\n {"name": "clock", "parameters": {'),
    ("mistral", "[TOOL_CALLS]"),
    ("mistral", "[TOOL_CALLS] and so on"),
    ("mistral", '[TOOL_CALLS][{"name": "clock", "arguments": {}}, 7]'),
    ("mistral", '[TOOL_CALLS][{"name": "clock", "arguments": {}'),
    ("mistral", "[TOOL_CALLS]clock[ARGS]{'a'}"),
    ("qwen-xml", "<tool_call>clock</tool_call>"),
    ("qwen-xml", "<tool_call><function=clock></tool_call>"),
    ("qwen-xml", "<tool_call><function=clock><parameter=a>1</function></tool_call>"),
    ("qwen-xml", "<tool_call><function=clock>text</function></tool_call>"),
    ("qwen-xml", "<tool_call><function=clock"),
]


@pytest.mark.parametrize(("written", "text"), MALFORMED)
def test_text_that_is_no_call_is_content(written: CallFormat, text: str) -> None:
    assert read(written, text) == (text, [])


def test_a_malformed_call_does_not_hide_the_next() -> None:
    content, calls = read("hermes", f"<tool_call>no</tool_call>{HERMES_CALL}")

    assert content == "<tool_call>no</tool_call>"
    assert meant(calls) == READ["hermes"][:1]


PIECES = [
    *("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "<function=clock>", ";"),
    *("</function>", "<parameter=a>", "</parameter>", "[ARGS]", "clock", "\n", " ", "a", "[", "]"),
    *('{"name": "clock", "arguments": {}}', '{"name": "clock"', ', "parameters": {"a": "}', '"}}'),
    *("<tool", "[TOOL", "<|py", '"', "\\", "{", "}", *WRITTEN["hermes"], *WRITTEN["llama"]),
]


@pytest.mark.parametrize("written", FORMATS)
@given(
    text=st.lists(st.sampled_from(PIECES), max_size=10).map("".join),
    cuts=st.lists(st.integers(0, 500), max_size=50),
)
def test_all_pieces_give_the_same_calls(written: CallFormat, text: str, cuts: list[int]) -> None:
    whole = read(written, text)

    assert read(written, text, cuts) == whole
    assert read(written, text, list(range(len(text)))) == whole


@pytest.mark.parametrize("written", FORMATS)
@given(text=st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_no_character_is_lost_without_a_call(written: CallFormat, text: str) -> None:
    content, calls = read(written, text)

    assert calls or content == text


def test_half_a_surrogate_pair_is_escaped() -> None:
    _, calls = read("hermes", '<tool_call>{"name": "clock", "arguments": {"a": "\\ud800"}}')

    assert calls[0].arguments == '{"a": "\\ud800"}'


def test_formats_are_known_by_their_templates() -> None:
    found = [call_format(one) for one in (HERMES, LLAMA, MISTRAL, XML, DEEPSEEK, GEMMA, "")]

    assert found == ["hermes", "llama", "mistral", "qwen-xml", None, None, None]


@pytest.mark.parametrize(
    ("template", "written"), [(HERMES, "hermes"), (LLAMA, "llama"), (MISTRAL, "mistral")]
)
def test_a_call_that_the_template_shows_is_read_back(template: str, written: CallFormat) -> None:
    tokenizer = Tokenizer(byte_level("smollm"), bos=1, ends=[2])
    call = ToolCall("call12345", "get_weather", '{"city": "New \\"York\\"", "days": 3}')
    asked = [Message("user", "w?"), Message("assistant", tool_calls=(call,))]

    text = messages_prompt(tokenizer, template, asked, tools=TOOLS).text
    start = text.rfind(
        {"hermes": "<tool_call>", "llama": '{"name"', "mistral": "[TOOL_CALLS]"}[written]
    )

    answer = text[start:].partition("<|im_end|>")[0]
    content, calls = read(written, answer)
    assert content == ""
    assert meant(calls) == [("get_weather", {"city": 'New "York"', "days": 3})]


NESTED = {
    "type": "function",
    "function": {
        "name": "book",
        "parameters": {
            "type": "object",
            "properties": {"who": {"$ref": "#/$defs/person"}, "note": {"type": "string"}},
            "required": ["who"],
            "additionalProperties": False,
            "$defs": {"person": {"type": "string", "enum": ["Ann", "Bo"]}},
        },
    },
}
FORCED: dict[str, list[str]] = {
    "hermes": [
        '<tool_call>\n{"name": "book", "arguments": {"who": "Bo"}}\n</tool_call>',
        '<tool_call>\n{"name": "book", "arguments": {"who": "Cy"}}\n</tool_call>',
    ],
    "llama": [
        '{"name": "book", "parameters": {"who": "Bo"}}',
        '{"name": "book", "parameters": {"who": 7}}',
    ],
    "mistral": [
        '[TOOL_CALLS][{"name": "book", "arguments": {"who": "Bo"}}]',
        '[TOOL_CALLS][{"name": "books", "arguments": {"who": "Bo"}}]',
    ],
    "qwen-xml": [
        '<tool_call>\n<function=book>\n<parameter=who>\n"Bo"\n</parameter>\n<parameter=note>\n'
        "a\n<b>\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>\n<function=book>\n<parameter=note>\na\n</parameter>\n</function>\n</tool_call>",
    ],
}


@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("written", FORMATS)
def test_grammars_accept_calls_that_the_parser_reads(written: CallFormat, parallel: bool) -> None:
    llguidance = pytest.importorskip("llguidance")
    tools = [*TOOLS, NESTED]
    lark = llguidance.LLMatcher.grammar_from_lark(call_grammar(written, tools, parallel=parallel))
    tokens = llguidance.LLTokenizer("byte")

    def accepts(text: str) -> bool:
        matcher = llguidance.LLMatcher(tokens, lark)
        assert not matcher.get_error()
        listed = tokens.tokenize_str(text)
        return bool(matcher.try_consume_tokens(listed) == len(listed) and matcher.is_accepting())

    right, wrong = FORCED[written]
    reader = ToolCallParser(written, tools, call_ids("request"))
    deltas = [*reader.push(right), *reader.finish()]
    assert accepts(right)
    assert not accepts(wrong)
    assert not accepts("Hello")
    assert [one.call.name for one in deltas if isinstance(one, CallDelta)] == ["book"]
    if written == "hermes":
        assert accepts(f"{right}\n{right}") == parallel


def test_a_choice_says_which_tools_are_shown_and_forced() -> None:
    auto = ToolUse.of(HERMES, TOOLS)
    required = ToolUse.of(HERMES, TOOLS, "required")
    named = ToolUse.of(HERMES, TOOLS, {"type": "function", "function": {"name": "clock"}})
    nothing = ToolUse.of(HERMES, TOOLS, "none")

    assert auto.tools == required.tools == named.tools == tuple(TOOLS)
    assert auto.grammar == ""
    assert "get_weather" in required.grammar
    assert "get_weather" not in named.grammar
    assert "clock" in named.grammar
    assert required.grammar.count("tagged)*") == 1
    assert "tagged)*" not in named.grammar
    assert nothing == ToolUse.of(GEMMA, []) == ToolUse()
    assert nothing.parser("request") is None
    assert auto.parser("request") is not None


def test_markers_that_are_tokens_are_forced_as_tokens() -> None:
    inner = byte_level("smollm")
    inner.add_special_tokens(["<tool_call>", "</tool_call>"])
    tokenizer = Tokenizer(inner, bos=1, ends=[2])
    tokens = [tokenizer.token_of(one) for one in ("<tool_call>", "</tool_call>")]

    with_tokens = ToolUse.of(HERMES, [NESTED], "required", tokenizer=tokenizer).grammar

    assert [f"<[{token}]>" in with_tokens for token in tokens] == [True, True]
    assert '"<tool_call>"' not in with_tokens
    pytest.importorskip("llguidance")
    grammar = grammar_constraint(tokenizer, with_tokens, "lark")
    body = FORCED["hermes"][0].removeprefix("<tool_call>").removesuffix("</tool_call>")
    for token in (tokens[0], *tokenizer.encode(body), tokens[1]):
        assert grammar.allowed(tokenizer.vocabulary_size)[token]
        grammar.accept(token)


def test_wrong_choices_are_refused() -> None:
    with pytest.raises(BadParameterError, match="'maybe'"):
        ToolUse.of(HERMES, TOOLS, "maybe")
    with pytest.raises(BadParameterError, match="without tools"):
        ToolUse.of(HERMES, [], "required")
    with pytest.raises(UnknownNameError, match="'clocks'") as caught:
        ToolUse.of(HERMES, TOOLS, {"type": "function", "function": {"name": "clocks"}})
    assert "clock" in caught.value.hint
    for wrong in ({"type": "function"}, {"type": "custom", "function": {"name": "clock"}}):
        with pytest.raises(BadParameterError, match="no function"):
            ToolUse.of(HERMES, TOOLS, wrong)
    with pytest.raises(ConversationRefusedError, match="has no tools"):
        ToolUse.of(GEMMA, TOOLS)
    with pytest.raises(ConversationRefusedError, match="not supported"):
        ToolUse.of(DEEPSEEK, TOOLS)


def test_an_answer_is_read_as_reasoning_then_content_then_calls() -> None:
    think = ReasoningMarkers("<think>", "</think>")
    reader = AnswerReader(think, parser("hermes"))
    text = f"<think>\nI <tool_call> it\n</think>\n\nHere:\n{HERMES_CALL}"

    found = [delta for sign in text for delta in reader.push(sign)]
    found += reader.finish()

    parts = [(type(one), getattr(one, "text", "")) for one in found]
    joined = {kind: "".join(text for one, text in parts if one is kind) for kind, _ in parts}
    assert joined == {ReasoningDelta: "I <tool_call> it", TextDelta: "Here:", CallDelta: ""}
    assert list(joined) == [ReasoningDelta, TextDelta, CallDelta]
    assert reader.calls == 1
    assert reader.reasoning_tokens == text.index("</think>") + len("</think>")


def test_an_answer_without_reasoning_or_tools_is_content() -> None:
    reader = AnswerReader(None)

    assert reader.push("<think>") == [TextDelta("<think>")]
    assert reader.push("") == reader.finish() == []


def test_control_tokens_that_mark_calls_are_decoded_as_text() -> None:
    inner = byte_level("smollm")
    inner.add_special_tokens(["[TOOL_CALLS]", "[OTHER]"])
    tokenizer = Tokenizer(inner, bos=1, ends=[2])
    mark, other = tokenizer.token_of("[TOOL_CALLS]"), tokenizer.token_of("[OTHER]")
    assert mark is not None
    assert other is not None
    tokens = [*tokenizer.encode("hé"), mark, other, *tokenizer.encode("[é")]

    visible = visible_tokens(tokenizer, None)
    decoding = tokenizer.decoding(visible=visible)
    plain = tokenizer.decoding()

    assert visible == {mark}
    assert "".join(map(decoding.push, tokens)) + decoding.finish() == "hé[TOOL_CALLS][é"
    assert "".join(map(plain.push, tokens)) + plain.finish() == "hé[é"
