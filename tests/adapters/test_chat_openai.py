"""LangChain's `ChatOpenAI` against the server."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
from openai import BadRequestError

from tests.server.served import MODELS, Served, serving
from tests.server.test_official_clients import HERMES, Weather

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("langchain_openai")
    from langchain_core.exceptions import ContextOverflowError
    from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    models = {**MODELS, "tiny": replace(MODELS["tiny"], template=HERMES)}
    with serving(models) as found:
        yield found


def chat(server: Served, **settings: object) -> ChatOpenAI:
    fields = {"model": "tiny", "temperature": 0, "max_tokens": 8, "max_retries": 0, **settings}
    return ChatOpenAI(base_url=f"{server.url}/v1", api_key="none", **fields)


def answer(server: Served, **fields: object) -> dict:
    return server.chat(**{"messages": [{"role": "user", "content": "Hello"}], **fields}).json()


def test_an_answer_and_its_usage(server: Served) -> None:
    found = chat(server).invoke("Hello")

    whole = answer(server)
    assert found.content == whole["choices"][0]["message"]["content"]
    assert found.response_metadata["finish_reason"] == "length"
    assert found.usage_metadata["input_tokens"] == whole["usage"]["prompt_tokens"]
    assert found.usage_metadata["output_tokens"] == 8


def test_a_stream_with_usage(server: Served) -> None:
    chunks = list(chat(server, stream_usage=True).stream("Hello"))

    assert len([one for one in chunks if one.content]) > 2
    whole = sum(chunks[1:], chunks[0])
    assert whole.content == answer(server)["choices"][0]["message"]["content"]
    assert whole.usage_metadata["output_tokens"] == 8


def test_asynchronous_calls_in_a_batch(server: Served) -> None:
    texts = [f"Question {n}" for n in range(5)]

    found = asyncio.run(chat(server).abatch(texts))

    alone = [chat(server).invoke(text).content for text in texts]
    assert [one.content for one in found] == alone


def test_structured_output(server: Served) -> None:
    model = chat(server, max_tokens=200)

    assert isinstance(model.with_structured_output(Weather).invoke("Hello"), Weather)
    called = model.with_structured_output(Weather, method="function_calling", strict=True)
    assert isinstance(called.invoke("Hello"), Weather)


def test_tools_and_their_results(server: Served) -> None:
    @tool
    def agree(yes: bool) -> str:
        """Agree or not."""
        return "so be it" if yes else "never"

    model = chat(server, max_tokens=200)
    called = model.bind_tools([agree], tool_choice="agree", strict=True).invoke("Hello")

    [call] = called.tool_calls
    assert call["name"] == "agree"
    assert isinstance(call["args"]["yes"], bool)
    result = agree.invoke(call)
    assert isinstance(result, ToolMessage)
    said = [SystemMessage("Be brief."), HumanMessage("Hello"), called, result]
    assert chat(server).bind_tools([agree]).invoke(said).usage_metadata["output_tokens"] == 8


def test_methods_in_the_models_name_and_in_the_extra_body(server: Served) -> None:
    named = chat(server, model="tiny@majority-vote(n=3)").invoke("Hello")
    stated = chat(server, extra_body={"search": "majority-vote(n=3)"}).invoke("Hello")

    assert named.usage_metadata["output_tokens"] == stated.usage_metadata["output_tokens"] == 24


def test_errors_are_langchains_own(server: Served) -> None:
    with pytest.raises(ContextOverflowError):
        chat(server).invoke("x" * 4000)
    with pytest.raises(BadRequestError, match="did you mean snapkv"):
        chat(server, model="tiny+snap-kv").invoke("Hello")
