"""A plugin of `llm`: `llm -m forethought/smollm2 "Why is the sky blue?"`.

Fragments (`-f`) are the document, which methods may shorten. `llm` imports this module at every
start, so the engine is imported when a model first answers.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import llm
from pydantic import Field

from forethought.contracts import spelling
from forethought.contracts.errors import ForethoughtError
from forethought.models.sources.wheel import WHEEL_MODELS
from forethought.recipes.recipe import Recipe

if TYPE_CHECKING:
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

    class Options(llm.Options):  # type: ignore[misc]
        """Settings of a recipe."""

        recipe: str | None = Field(
            None, description="A whole recipe: smollm2+specpc(keep=512)@majority-vote(n=8)"
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
    ) -> Iterator[str]:
        """Answer; a search yields its one answer at the end."""
        from forethought.adapters.local_engine import local_engine

        try:
            recipe = _recipe(self.name, prompt.options.model_dump(exclude_none=True))
            shown = ""
            for event in local_engine().answer(_request(recipe, prompt)):
                if event.kind == "token" and stream:
                    shown += event.data["text"]
                    yield event.data["text"]
                elif event.kind == "done":
                    yield event.data["run"]["answer"].removeprefix(shown)
                    _report(response, event.data["run"])
        except ForethoughtError as error:
            raise llm.ModelError(f"{error.message}\n\nhint: {error.hint}") from error


def _recipe(model: str, options: dict[str, Any]) -> Recipe:
    whole = Recipe.parse(options.pop("recipe", None) or spelling.quoted(model))
    if methods := options.get("approximate"):
        options["approximate"] = tuple(spelling.split(methods, "+"))
    if stop := options.get("stop"):
        options["stop"] = (stop,)
    return replace(whole, **options)


def _request(recipe: Recipe, prompt: llm.Prompt) -> LiveRequest:
    """The request of a whole conversation, whose last message is the question."""
    from forethought.adapters.local_engine import local_engine
    from forethought.contracts.controls import GenerationControls
    from forethought.models.chat.messages import Message, messages_prompt
    from forethought.sessions.live_session import LiveRequest

    document, question = "\n".join(map(str, prompt.fragments)), prompt._prompt or ""
    if not question:
        document, question = "", document
    said = [Message(one.role, _text(one)) for one in prompt.messages]
    if said and said[-1].role == "user":
        said[-1] = replace(said[-1], content=question)
    model = local_engine().model(recipe.model, recipe.weights)
    return LiveRequest(
        name=uuid.uuid4().hex,
        recipe=recipe,
        question=question,
        prompt=messages_prompt(model.tokenizer, model.template, said, document=document),
        controls=GenerationControls(grammar=json.dumps(prompt.schema) if prompt.schema else ""),
    )


def _text(message: llm.Message) -> str:
    """The text of a message; a model that reasons gets none of its earlier reasoning back."""
    parts = (one.to_dict() for one in message.parts)
    return "".join(one["text"] for one in parts if one["type"] == "text")


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
