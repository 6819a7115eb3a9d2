"""A model provider of inspect-ai: `inspect eval task.py --model forethought/smollm2`.

The model's name is a recipe's spelling, and `-M field=value` sets any other field of the recipe.
Samples of an evaluation that run at the same time share the engine's batches.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    modelapi,
)
from inspect_ai.tool import ToolCall, ToolChoice, ToolInfo

from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import PromptTooLongError, UnknownNameError, UsageError
from forethought.contracts.records import Event
from forethought.recipes.recipe import Recipe

if TYPE_CHECKING:
    from forethought.contracts.records import Prompt
    from forethought.models.chat.message import Message
    from forethought.models.chat.message import ToolCall as WrittenCall
    from forethought.models.chat.reasoning import ReasoningMarkers
    from forethought.models.chat.tool_calls import ToolUse
    from forethought.models.model import Model
    from forethought.sessions.live_session import LiveRequest

MOST_TOKENS = 2048
"""Tokens of an answer if neither the evaluation nor the recipe limits them."""
_STOPS = {"stop": "stop", "length": "max_tokens", "budget": "max_tokens"}


@modelapi(name="forethought")
class ForethoughtAPI(ModelAPI):  # type: ignore[misc]
    """A recipe on this machine's models."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        **recipe_fields: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self.recipe = _with_fields(Recipe.parse(model_name), recipe_fields)
        self._times: Counter[tuple[int, ...]] = Counter()
        """How often each prompt was asked."""

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer in the engine's thread; a prompt that is too long is an output, not an error."""
        try:
            asked = self._asked(
                input, _tool_use(self._model().template, tools, tool_choice), config
            )
            events = await _events(asked.request)
        except PromptTooLongError as error:
            return ModelOutput.from_content(self.model_name, error.message, "model_length")
        return self._output(asked, events, config)

    def max_tokens(self) -> int | None:
        """The default of an evaluation that states no limit."""
        own = self.recipe.max_tokens
        return own if own != Recipe.max_tokens else MOST_TOKENS

    def max_connections(self) -> int:
        """Samples that run at the same time."""
        from forethought.sessions.batch import AT_ONCE_ELSEWHERE, AT_ONCE_ON_CPU

        on_cpu = self._model().network.device.type == "cpu"
        return AT_ONCE_ON_CPU if on_cpu else AT_ONCE_ELSEWHERE

    def connection_key(self) -> str:
        """All models share the engine."""
        return "forethought"

    def _model(self) -> Model:
        # Imported late, here and below: inspect imports this module to list its providers.
        from forethought.adapters.local_engine import local_engine

        return local_engine().model(self.recipe.model, self.recipe.weights)

    def _asked(self, input: list[ChatMessage], use: ToolUse, config: GenerateConfig) -> _Asked:
        from forethought.models.chat.answer import visible_tokens
        from forethought.models.chat.messages import messages_prompt
        from forethought.models.chat.reasoning import begins_in_reasoning, reasoning_markers
        from forethought.sessions.live_session import LiveRequest

        model, messages = self._model(), [_message(one) for one in input]
        prompt = messages_prompt(model.tokenizer, model.template, messages, tools=use.tools)
        markers = reasoning_markers(model.template, model.tokenizer)
        request = LiveRequest(
            name=uuid.uuid4().hex,
            recipe=self._seeded(_configured(self.recipe, config), config, prompt),
            question=input[-1].text,
            prompt=prompt,
            controls=_controls(config, use),
            visible=visible_tokens(model.tokenizer, markers),
        )
        return _Asked(request, use, markers, begins_in_reasoning(prompt, markers))

    def _seeded(self, recipe: Recipe, config: GenerateConfig, prompt: Prompt) -> Recipe:
        """The recipe with a seed of its own for each epoch, unless somebody chose one."""
        if config.seed is not None or recipe.seed != Recipe.seed:
            return recipe
        self._times[prompt.tokens] += 1
        return replace(recipe, seed=self._times[prompt.tokens] - 1)

    def _output(
        self, asked: _Asked, events: Sequence[Event], config: GenerateConfig
    ) -> ModelOutput:
        run = events[-1].data["run"]
        answers = [(run["answer"], run["finish"])]
        if not self.recipe.search and run["candidates"]:
            answers = [(one["text"], one["finish"]) for one in run["candidates"]]
        logprobs = _logprobs(events) if config.logprobs else {}
        kept = {name: run["kept"][name] for name in ("prompt_tokens", "of", "cache_bytes")}
        shown = ("recipe", "seed", "cost", "timing", "exact", "confidence", "notes")
        return ModelOutput(
            model=self.model_name,
            choices=[
                self._choice(asked, text, finish, logprobs.get(number))
                for number, (text, finish) in enumerate(answers)
            ],
            usage=_usage(run["cost"]),
            time=run["cost"]["seconds"],
            metadata={"forethought": {**{name: run[name] for name in shown}, "kept": kept}},
        )

    def _choice(
        self, asked: _Asked, text: str, finish: str, logprobs: Logprobs | None
    ) -> ChatCompletionChoice:
        """An answer with its reasoning and its tool calls apart from its text."""
        from forethought.models.chat.answer import AnswerReader, ReasoningDelta
        from forethought.models.chat.tool_calls import CallDelta, TextDelta

        parser = asked.use.parser(asked.request.name)
        reader = AnswerReader(asked.markers, parser, inside=asked.inside)
        deltas = [*reader.push(text), *reader.finish()]
        reasoning = "".join(one.text for one in deltas if isinstance(one, ReasoningDelta))
        content = "".join(one.text for one in deltas if isinstance(one, TextDelta))
        calls = [_tool_call(one.call) for one in deltas if isinstance(one, CallDelta)]
        message = ChatMessageAssistant(
            content=[ContentReasoning(reasoning=reasoning), ContentText(text=content)]
            if reasoning
            else content,
            tool_calls=calls or None,
            model=self.model_name,
            source="generate",
        )
        stop = "tool_calls" if calls else _STOPS.get(finish, "unknown")
        return ChatCompletionChoice(message=message, stop_reason=stop, logprobs=logprobs)


class _Asked(NamedTuple):
    """A request, and how to read its answers."""

    request: LiveRequest
    use: ToolUse
    markers: ReasoningMarkers | None
    inside: bool
    """Whether answers begin inside the reasoning."""


async def _events(request: LiveRequest) -> list[Event]:
    from forethought.adapters.local_engine import local_engine

    engine = local_engine()
    try:
        # A limiter of its own: the engine bounds the work, and a waiting thread costs little.
        return await anyio.to_thread.run_sync(
            engine.run, request, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
        )
    except anyio.get_cancelled_exc_class():
        engine.cancel(request.name)
        raise


def _tool_use(template: str, tools: list[ToolInfo], choice: ToolChoice) -> ToolUse:
    from forethought.models.chat.tool_calls import ToolUse

    functions = [
        {"type": "function", "function": one.model_dump(exclude_none=True)} for one in tools
    ]
    wanted = {"any": "required"}.get(choice, choice) if isinstance(choice, str) else choice.name
    named = {"type": "function", "function": {"name": wanted}}
    return ToolUse.of(template, functions, wanted if isinstance(choice, str) else named)


def _tool_call(call: WrittenCall) -> ToolCall:
    try:
        arguments, problem = json.loads(call.arguments), None
    except json.JSONDecodeError as error:
        arguments, problem = {}, f"the arguments are no JSON: {error}"
    return ToolCall(call.id, call.name, arguments, parse_error=problem)


def _with_fields(recipe: Recipe, fields: dict[str, Any]) -> Recipe:
    """The recipe with fields as -M gives them, where one text stands for a list of one."""
    for name in ("approximate", "stop"):
        if name in fields:
            given = fields[name]
            fields[name] = (given,) if isinstance(given, str) else tuple(given)
    known = [item.name for item in dataclasses.fields(Recipe)]
    for name in fields:
        if name not in known:
            raise UnknownNameError.among("field of a recipe", name, known)
    return replace(recipe, **fields)


def _configured(recipe: Recipe, config: GenerateConfig) -> Recipe:
    """The recipe with the evaluation's settings, which count more than the recipe's own."""
    stated = {
        "max_tokens": config.max_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "seed": config.seed,
        "stop": tuple(config.stop_seqs) if config.stop_seqs else None,
        "samples": config.num_choices,
        "logprobs": config.top_logprobs if config.logprobs else None,
    }
    return replace(recipe, **{name: one for name, one in stated.items() if one is not None})


def _controls(config: GenerateConfig, use: ToolUse) -> GenerationControls:
    schema = config.response_schema
    form = schema.json_schema.model_dump(exclude_none=True) if schema else None
    return GenerationControls(
        logit_bias=config.logit_bias or {},
        frequency_penalty=config.frequency_penalty or 0.0,
        presence_penalty=config.presence_penalty or 0.0,
        thinking_budget=config.reasoning_tokens,
        grammar=use.grammar or (json.dumps(form) if form else ""),
        grammar_kind="lark" if use.grammar else "json",
    )


def _message(message: ChatMessage) -> Message:
    from forethought.models.chat.message import Message
    from forethought.models.chat.message import ToolCall as WrittenCall

    content = message.content if isinstance(message.content, list) else []
    if other := next((one.type for one in content if one.type not in ("text", "reasoning")), None):
        raise UsageError(f"a message holds {other}", "the models of this machine read text alone")
    calls = getattr(message, "tool_calls", None) or ()
    return Message(
        message.role,
        message.text,
        name=getattr(message, "function", None) or "",
        tool_calls=tuple(
            WrittenCall(one.id, one.function, json.dumps(one.arguments)) for one in calls
        ),
        tool_call_id=getattr(message, "tool_call_id", None) or "",
    )


def _logprobs(events: Sequence[Event]) -> dict[int, Logprobs]:
    """The log-probabilities of each answer's tokens, by its number."""
    found: dict[int, list[Logprob]] = defaultdict(list)
    for event in events:
        # The rest of an answer's text, which a stop string held back, is no token.
        if event.kind == "token" and "log_probability" in event.data:
            found[event.data["candidate"]].append(_logprob(event.data))
    return {number: Logprobs(content=tokens) for number, tokens in found.items()}


def _logprob(token: dict[str, Any]) -> Logprob:
    top = [_top(one) for one in token.get("top", ())]
    return Logprob(**_top(token).model_dump(), top_logprobs=top or None)


def _top(token: dict[str, Any]) -> TopLogprob:
    text = token["text"]
    return TopLogprob(token=text, logprob=token["log_probability"], bytes=list(text.encode()))


def _usage(cost: dict[str, Any]) -> ModelUsage:
    """The target's tokens; those of drafts and scorers are in the output's metadata."""
    read, cached, written = (
        cost[name] for name in ("prompt_tokens", "cached_tokens", "output_tokens")
    )
    return ModelUsage(
        input_tokens=read,
        input_tokens_cache_read=cached,
        output_tokens=written,
        total_tokens=read + cached + written,
        total_cost=cost["usd"],
    )
