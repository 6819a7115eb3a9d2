"""inspect-ai's provider of OpenAI-compatible services against the server."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.server.served import MODELS, QUESTION, Served, serving
from tests.server.test_official_clients import HERMES, Weather

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("inspect_ai")
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import GenerateConfig, Model, ResponseSchema, get_model
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate
    from inspect_ai.tool import Tool, tool
    from inspect_ai.util import json_schema


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    models = {**MODELS, "tiny": replace(MODELS["tiny"], template=HERMES)}
    with serving(models) as found:
        yield found


def remote(server: Served, name: str = "tiny") -> Model:
    return get_model(
        f"openai-api/forethought/{name}", base_url=f"{server.url}/v1", api_key="none", memoize=False
    )


def answered(model: Model, text: str = QUESTION[0]["content"], **settings: object) -> object:
    tools = settings.pop("tools", [])
    choice = settings.pop("tool_choice", None)
    config = GenerateConfig(**{"max_tokens": 8, "temperature": 0.0, **settings})
    return asyncio.run(model.generate(text, tools=tools, tool_choice=choice, config=config))


@tool
def agree() -> Tool:
    async def execute(yes: bool) -> str:
        """Agree or not.

        Args:
            yes: Whether to agree.
        """
        return "so be it" if yes else "never"

    return execute


def test_an_answer_its_choices_and_its_log_probabilities(server: Served) -> None:
    found = answered(remote(server), num_choices=2, temperature=1.0, seed=4, logprobs=True,
                     top_logprobs=2)  # fmt: skip

    whole = server.chat(n=2, temperature=1.0, seed=4).json()
    told = [one["message"]["content"] for one in whole["choices"]]
    assert [one.message.text for one in found.choices] == told
    assert all(len(one.logprobs.content) == 8 for one in found.choices)
    assert found.usage.output_tokens == 16
    cached = found.usage.input_tokens_cache_read or 0
    assert found.usage.input_tokens + cached == whole["usage"]["prompt_tokens"]


def test_a_schema_and_a_forced_tool_call(server: Served) -> None:
    schema = ResponseSchema(name="weather", json_schema=json_schema(Weather))
    written = answered(remote(server), max_tokens=200, response_schema=schema)
    called = answered(remote(server), max_tokens=200, tools=[agree()], tool_choice="any")

    assert isinstance(Weather.model_validate_json(written.completion), Weather)
    calls = called.choices[0].message.tool_calls
    assert {one.function for one in calls} == {"agree"}
    assert isinstance(calls[0].arguments["yes"], bool)
    assert called.stop_reason == "tool_calls"


def test_a_prompt_that_is_too_long_stops_with_model_length(server: Served) -> None:
    assert answered(remote(server), "x" * 4000).stop_reason == "model_length"


def test_an_evaluation_with_a_recipe_in_the_models_name(server: Served, tmp_path: Path) -> None:
    task = Task(
        dataset=[Sample(input=f"Question {n}", target="x") for n in range(4)],
        solver=generate(),
        scorer=includes(),
    )

    [log] = eval(
        task, model=remote(server, "tiny+truncate(keep=40)"), max_tokens=6, display="none",
        log_dir=str(tmp_path),
    )  # fmt: skip

    assert log.status == "success"
    assert all(one.output.usage.output_tokens == 6 for one in log.samples)
