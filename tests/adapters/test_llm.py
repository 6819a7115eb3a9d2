"""The plugin in the real `llm`: its Python interface, its command line and its log."""

from __future__ import annotations

import importlib
import json
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from forethought.models.chat.answer import AnswerReader
from forethought.models.chat.messages import Message, ToolCall, messages_prompt
from forethought.models.chat.reasoning import ReasoningMarkers
from forethought.models.chat.tool_calls import ToolUse
from forethought.models.model import Model
from forethought.sessions.ask import ask
from tests.server.test_official_clients import HERMES

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    llm = pytest.importorskip("llm")
    from click.testing import CliRunner
    from llm import plugins
    from llm.cli import cli

    from forethought.adapters import llm as plugin

ROOT = Path(__file__).parents[2]
LIGHTHOUSE = ROOT / "examples" / "lighthouse.txt"
QUESTION = "What is the capital of France?"


def agree(yes: bool) -> str:
    """Agree or not."""
    return "so be it" if yes else "never"


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smollm2: Model) -> Iterator[None]:
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    plugins.load_plugins()  # its entry point, if the package is installed
    registered = plugins.pm.is_registered(plugin)
    if not registered:
        plugins.pm.register(plugin)
    yield
    if not registered:
        plugins.pm.unregister(plugin)


def command(*arguments: str) -> str:
    done = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_entry_points_lead_to_the_plugins() -> None:
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]

    assert importlib.import_module(points["llm"]["forethought"]) is plugin


def test_the_answer_is_that_of_ask_and_streams_token_by_token() -> None:
    response = llm.get_model("forethought/smollm2").prompt(QUESTION, max_tokens=24)
    pieces = list(response)
    run = ask(QUESTION, "smollm2")

    assert "".join(pieces) == run["answer"]
    assert len(pieces) > 4
    usage = response.usage()
    assert (usage.input, usage.output) == (
        run["cost"]["prompt_tokens"],
        run["cost"]["output_tokens"],
    )
    assert response.response_json["answer"] == run["answer"]


def test_a_fragment_is_the_document_that_methods_shorten() -> None:
    text = LIGHTHOUSE.read_text()
    response = llm.get_model("forethought/smollm2").prompt(
        "Where does the spare key hang?", fragments=[text], approximate="specpc-shallow(keep=0.3)",
        max_tokens=24,
    )  # fmt: skip
    recipe = "smollm2+specpc-shallow(keep=0.3)"
    run = ask("Where does the spare key hang?", recipe, document=text)

    assert run["answer"].startswith(response.text())
    assert response.usage().details == {"draft_tokens": run["cost"]["draft_tokens"]}
    kept = response.response_json["kept"]
    assert (kept["prompt_tokens"], kept["of"]) == (
        run["kept"]["prompt_tokens"],
        run["kept"]["of"],
    )


def test_a_whole_recipe_is_an_option_and_a_search_gives_its_one_answer() -> None:
    response = llm.get_model("forethought").prompt(
        "What is 12 + 30?", recipe="smollm2@majority-vote(n=3)", max_tokens=24, seed=4
    )

    [answer] = [piece for piece in response if piece]

    assert response.response_json["recipe"] == "smollm2@majority-vote(n=3)"
    assert len(response.response_json["candidates"]) == 3
    assert answer in [one["text"] for one in response.response_json["candidates"]]


def test_a_conversation_goes_on_from_the_log_with_every_message(smollm2: Model) -> None:
    command("-m", "forethought/smollm2", "My cat is called Tom.", "-o", "max_tokens", "16")
    command("-c", "What is my cat called?", "-o", "max_tokens", "8")

    first, second = json.loads(command("logs", "--json", "-n", "0"))
    said = [
        Message("user", "My cat is called Tom."),
        Message("assistant", first["response"]),
        Message("user", "What is my cat called?"),
    ]
    prompt = messages_prompt(smollm2.tokenizer, smollm2.template, said)
    assert second["model"] == "forethought/smollm2"
    assert second["input_tokens"] == len(prompt)


def test_a_schema_is_followed() -> None:
    schema = {
        "type": "object",
        "properties": {"town": {"type": "string"}, "large": {"type": "boolean"}},
        "required": ["town", "large"],
    }
    response = llm.get_model("forethought/smollm2").prompt(
        "Name a town.", schema=schema, max_tokens=60
    )

    assert json.loads(response.text()).keys() >= {"town", "large"}


def test_tools_need_a_template_that_has_them() -> None:
    with pytest.raises(llm.ModelError, match="has no tools"):
        llm.get_model("forethought/smollm2").prompt("Agree.", tools=[agree]).text()


def test_reasoning_and_tool_calls_are_parts_of_their_own() -> None:
    response = llm.get_model("forethought/smollm2").prompt("Agree.", tools=[agree])
    tools = [plugin._function(one) for one in response.prompt.tools]
    parser = ToolUse.of(HERMES, tools).parser("request")
    reader = AnswerReader(ReasoningMarkers("<think>", "</think>"), parser)

    said = '<think>Yes.</think>Done <tool_call>{"name": "agree", "arguments": {"yes": true}}'
    deltas = [delta for letter in said for delta in reader.push(letter)]
    events = list(plugin._told([*deltas, *reader.push("</tool_call>"), *reader.finish()], response))

    told = {kind: "".join(one.chunk for one in events if one.type == kind)
            for kind in ("reasoning", "text", "tool_call_name", "tool_call_args")}  # fmt: skip
    assert told["reasoning"] == "Yes."
    assert told["text"].strip() == "Done"
    assert told["tool_call_name"] == "agree"
    assert json.loads(told["tool_call_args"]) == {"yes": True}
    [call] = response._tool_calls
    assert (call.name, call.arguments) == ("agree", {"yes": True})


def test_results_of_tools_become_messages() -> None:
    said = [
        llm.parts.Message("user", [llm.parts.TextPart("Agree.")]),
        llm.parts.Message("assistant", [
            llm.parts.ReasoningPart("Well."),
            llm.parts.ToolCallPart("agree", {"yes": True}, "call-1"),
            llm.parts.ToolCallPart("agree", {"yes": False}, "call-2"),
        ]),
        llm.parts.Message("tool", [
            llm.parts.ToolResultPart("agree", "so be it", "call-1"),
            llm.parts.ToolResultPart("agree", "never", "call-2"),
        ]),
    ]  # fmt: skip

    found = [message for one in said for message in plugin._messages(one)]

    calls = (
        ToolCall("call-1", "agree", '{"yes": true}'),
        ToolCall("call-2", "agree", '{"yes": false}'),
    )
    assert found == [
        Message("user", "Agree."),
        Message("assistant", tool_calls=calls),
        Message("tool", "so be it", "agree", tool_call_id="call-1"),
        Message("tool", "never", "agree", tool_call_id="call-2"),
    ]


def test_the_command_line_lists_models_and_options() -> None:
    listed = command("models", "list", "--options", "-q", "forethought")

    assert "forethought/smollm2" in listed
    assert "approximate: str" in listed


def test_a_fragment_on_the_command_line(tmp_path: Path) -> None:
    told = command(
        "-m", "forethought/smollm2", "-f", str(LIGHTHOUSE), "-o", "approximate", "bm25(keep=0.3)",
        "-o", "max_tokens", "16", "Where does the spare key hang?",
    )  # fmt: skip

    assert "key" in told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"approximate": "snap-kv"}, "no method is called 'snap-kv'"),
        ({"temperature": 9.0}, "--temperature 9.0"),
        ({"recipe": "http://localhost:1/v1#big"}, "is a model on a server"),
    ],
)
def test_wrong_options_are_errors_with_a_hint(options: dict, said: str) -> None:
    with pytest.raises(llm.ModelError, match=said) as told:
        llm.get_model("forethought/smollm2").prompt(QUESTION, **options).text()

    assert "hint: " in str(told.value)
