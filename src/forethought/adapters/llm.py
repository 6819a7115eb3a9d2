"""A plugin of `llm`: `llm -m forethought/smollm2 "Why is the sky blue?"`.

Fragments (`-f`) are the document, which methods may shorten. `llm` imports this module at every
start, so the engine is imported when a model first answers.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import llm
from llm.parts import StreamEvent
from pydantic import Field

from forethought.contracts import spelling
from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import ForethoughtError
from forethought.models.sources.wheel import WHEEL_MODELS
from forethought.recipes.recipe import Recipe

if TYPE_CHECKING:
    from forethought.models.chat.answer import AnswerDelta, AnswerReader
    from forethought.models.chat.message import Message
    from forethought.sessions.live_session import LiveRequest


@llm.hookimpl  # type: ignore[untyped-decorator]
def register_models(register: Callable[[llm.Model], None]) -> None:
    """Register `forethought`, for any recipe, and each model that needs no hub."""
    register(ForethoughtModel("forethought", "smollm2"))
    for name in WHEEL_MODELS:
        register(ForethoughtModel(f"forethought/{name}", name))


class ForethoughtModel(llm.Model):  # type: ignore[misc]
    """A model of this machine, loaded once per process."""

    can_stream = True
    supports_schema = True
    supports_tools = True

    class Options(llm.Options):  # type: ignore[misc]
        """Settings of a recipe."""

        recipe: str | None = Field(
            None, description="A whole recipe: smollm2+specpc-shallow(keep=512)@majority-vote(n=8)"
        )
        approximate: str | None = Field(
            None, description="Methods of `forethought list`, joined by +"
        )
        draft: str | None = Field(None, description="The draft model")
        search: str | None = Field(None, description="A strategy, such as majority-vote(n=8)")
        scorer: str | None = Field(None, description="The scorer that ranks its candidates")
        budget: str | None = Field(None, description="Maximum to spend: 500tok, 2s or 1TFLOP")
        max_tokens: int | None = Field(None, description="Maximum tokens of the answer")
        temperature: float | None = Field(None, description="Sampling temperature; 0 is greedy")
        top_k: int | None = Field(None, description="Sample from the k most probable tokens")
        top_p: float | None = Field(None, description="Nucleus sampling up to this total")
        min_p: float | None = Field(None, description="Minimum share of the top probability")
        stop: str | None = Field(None, description="A stop string")
        seed: int | None = Field(None, description="The same seed gives the same answer")
        weights: str | None = Field(None, description="auto, bf16, int4, int8 or w8a8")

    def __init__(self, model_id: str, name: str) -> None:
        self.model_id = model_id
        self.name = name
        """The model that answers if no option names a recipe."""

    def execute(
        self,
        prompt: llm.Prompt,
        stream: bool,
        response: llm.Response,
        conversation: llm.Conversation | None = None,
    ) -> Iterator[StreamEvent]:
        """Answer; a search yields its one answer at the end."""
        from forethought.adapters.local_engine import local_engine

        try:
            request, reader = _asked(_recipe(self.name, prompt.options), prompt)
            shown = 0
            for event in local_engine().answer(request):
                if event.kind == "token" and stream:
                    shown += len(event.data["text"])
                    yield from _told(reader.push(event.data["text"]), response)
                elif event.kind == "done":
                    rest = event.data["run"]["answer"][shown:]
                    yield from _told([*reader.push(rest), *reader.finish()], response)
                    _report(response, event.data["run"])
        except ForethoughtError as error:
            raise llm.ModelError(f"{error.message}\n\nhint: {error.hint}") from error


def _recipe(model: str, options: llm.Options) -> Recipe:
    stated = options.model_dump(exclude_none=True)
    whole = Recipe.parse(stated.pop("recipe", None) or spelling.quoted(model))
    if methods := stated.get("approximate"):
        stated["approximate"] = tuple(spelling.split(methods, "+"))
    if stop := stated.get("stop"):
        stated["stop"] = (stop,)
    return replace(whole, **stated)


def _asked(recipe: Recipe, prompt: llm.Prompt) -> tuple[LiveRequest, AnswerReader]:
    """The request of a whole conversation, and the reader of its answer."""
    from forethought.adapters.local_engine import local_engine
    from forethought.models.chat.answer import AnswerReader, visible_tokens
    from forethought.models.chat.messages import messages_prompt
    from forethought.models.chat.reasoning import begins_in_reasoning, reasoning_markers
    from forethought.models.chat.tool_calls import ToolUse
    from forethought.sessions.live_session import LiveRequest

    model = local_engine().model(recipe.model, recipe.weights)
    use = ToolUse.of(model.template, [_function(one) for one in prompt.tools])
    document, question = _document(prompt)
    said = [message for one in prompt.messages for message in _messages(one)]
    if said[-1].role == "user":
        said[-1] = replace(said[-1], content=question)
    laid = messages_prompt(
        model.tokenizer, model.template, said, document=document, tools=use.tools
    )
    markers = reasoning_markers(model.template, model.tokenizer)
    request = LiveRequest(
        name=uuid.uuid4().hex,
        recipe=recipe,
        question=question,
        prompt=laid,
        controls=GenerationControls(grammar=json.dumps(prompt.schema) if prompt.schema else ""),
        visible=visible_tokens(model.tokenizer, markers),
    )
    inside = begins_in_reasoning(laid, markers)
    return request, AnswerReader(markers, use.parser(request.name), inside=inside)


def _document(prompt: llm.Prompt) -> tuple[str, str]:
    """The document and the question: fragments without a question are the question."""
    document, question = "\n".join(map(str, prompt.fragments)), prompt._prompt or ""
    return (document, question) if question else ("", document)


def _function(tool: llm.Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.input_schema,
    }
    return {"type": "function", "function": function}


def _messages(message: llm.Message) -> Iterator[Message]:
    """A message of llm, without its reasoning; each result of a tool is a message of its own."""
    from forethought.models.chat.message import Message, ToolCall

    parts = [one.to_dict() for one in message.parts]
    if message.role == "tool":
        for one in parts:
            yield Message("tool", one["output"], one["name"], tool_call_id=one["tool_call_id"])
        return
    yield Message(
        message.role,
        "".join(one["text"] for one in parts if one["type"] == "text"),
        tool_calls=tuple(
            ToolCall(one["tool_call_id"], one["name"], json.dumps(one["arguments"]))
            for one in parts
            if one["type"] == "tool_call"
        ),
    )


def _told(deltas: Sequence[AnswerDelta], response: llm.Response) -> Iterator[StreamEvent]:
    from forethought.models.chat.answer import ReasoningDelta
    from forethought.models.chat.tool_calls import CallDelta

    for delta in deltas:
        if isinstance(delta, CallDelta):
            call = delta.call
            arguments = json.loads(call.arguments)
            response.add_tool_call(llm.ToolCall(call.name, arguments, tool_call_id=call.id))
            yield StreamEvent(type="tool_call_name", chunk=call.name, tool_call_id=call.id)
            yield StreamEvent(type="tool_call_args", chunk=call.arguments, tool_call_id=call.id)
        elif delta.text:
            kind = "reasoning" if isinstance(delta, ReasoningDelta) else "text"
            yield StreamEvent(type=kind, chunk=delta.text)


def _report(response: llm.Response, run: dict[str, Any]) -> None:
    """Hand token counts and the run's document to llm, which logs them."""
    from forethought.adapters.local_engine import usage_details

    cost = run["cost"]
    response.set_usage(
        input=cost["prompt_tokens"] + cost["cached_tokens"],
        output=cost["output_tokens"],
        details=usage_details(run) or None,
    )
    kept = {name: run["kept"][name] for name in ("prompt_tokens", "of", "cache_bytes")}
    response.response_json = {**run, "kept": kept}
