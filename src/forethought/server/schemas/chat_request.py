"""The body of POST /v1/chat/completions."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from forethought.server.schemas.common import Budget, Fields, Name, SamplingFields, Text

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
NO_STORE = "leave it out, and send the whole conversation each time"


class ContentPart(Fields):
    """A part of a message; only text is supported."""

    type: Literal["text", "input_text", "output_text", "refusal"]
    text: Text | None = None
    refusal: Text | None = None
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None

    @property
    def content(self) -> str:
        """Its text."""
        return self.text or self.refusal or ""


class FunctionCall(Fields):
    """A call in an earlier answer."""

    name: Name
    arguments: Text = ""


class CallFields(Fields):
    """A tool call in an earlier answer."""

    id: Name = ""
    type: Literal["function"] = "function"
    index: int | None = None
    function: FunctionCall


class ChatMessage(Fields):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | Annotated[list[ContentPart], Field(max_length=4096)] | None = None
    name: Name | None = None
    tool_calls: Annotated[list[CallFields], Field(max_length=128)] | None = None
    tool_call_id: Name | None = None
    reasoning: Text | None = None
    reasoning_content: Text | None = None
    refusal: Text | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None

    @property
    def text(self) -> str:
        """Its content as text."""
        if isinstance(self.content, list):
            return "\n".join(part.content for part in self.content)
        return self.content or ""

    @model_validator(mode="after")
    def _fits_role(self) -> ChatMessage:
        answers = self.role == "assistant"
        if self.content is None and not (answers and (self.tool_calls or self.refusal)):
            raise ValueError(f"a message of role {self.role} needs content")
        if self.tool_calls and not answers:
            raise ValueError("only messages of role assistant have tool_calls")
        return self


class ToolFunction(Fields):
    """A function that the model may call."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]
    description: Text | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Fields):
    """A tool that the model may call."""

    type: Literal["function"]
    function: ToolFunction


class ChosenName(Fields):
    """The name of a function."""

    name: Name


class ChosenTool(Fields):
    """The one tool that the model must call."""

    type: Literal["function"]
    function: ChosenName


class TemplateOptions(Fields):
    """Options of the chat template."""

    enable_thinking: bool | None = None
    thinking: bool | None = None


class Prediction(Fields):
    """The likely answer: decoding copies drafts from it, which change no token."""

    type: Literal["content"]
    content: Text | list[ContentPart]

    @property
    def text(self) -> str:
        """The whole text."""
        given = self.content
        return given if isinstance(given, str) else "".join(part.content for part in given)


class ChatRequest(SamplingFields):
    """A chat completion request."""

    REFUSED: ClassVar[dict[str, str]] = {
        "functions": "use tools",
        "function_call": "use tool_choice",
        "web_search_options": "no model here searches the web",
        "audio": "models here answer with text alone",
        "moderation": "leave it out",
        "chat_template": "the model's own template applies",
        "best_of": "use search, such as best-of-n(n=4)",
        "use_beam_search": "use search, such as beam(width=4)",
        "echo": "use /v1/completions",
        "prompt_logprobs": "use /v1/completions with echo and logprobs",
        "guided_json": "use response_format, or structured_outputs",
        "guided_regex": "use structured_outputs",
        "guided_choice": "use structured_outputs",
        "guided_grammar": "use structured_outputs",
        "prompt": "send messages here, or the prompt to /v1/completions",
        "input": "send messages here, or the input to /v1/responses",
    }

    REFUSED_IF_TRUE: ClassVar[dict[str, str]] = {"store": NO_STORE}

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=4096)]
    max_completion_tokens: Annotated[int, Field(ge=1, le=1 << 31)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1 << 31)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    prediction: Prediction | None = None
    thinking_token_budget: Budget | None = None
    reasoning_effort: Effort | None = None
    chat_template_kwargs: TemplateOptions | None = None
    continue_final_message: bool | None = None
    add_generation_prompt: bool | None = None
    include_reasoning: Literal[True] | None = None
    separate_reasoning: Literal[True] | None = None
    stream_reasoning: Literal[True] | None = None
    metadata: Annotated[dict[str, Name], Field(max_length=16)] | None = None
    """Accepted and unused."""
    store: Literal[False] | None = None
    """Only false: the server's own settings decide which runs are stored."""
    service_tier: Literal["auto", "default"] | None = None
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = None
    verbosity: Literal["medium"] | None = None
    prompt_cache_key: Name | None = None
    """Accepted and unused: the prefix cache finds shared prefixes by their tokens."""
    prompt_cache_retention: Name | None = None
    safety_identifier: Name | None = None

    @property
    def thinking(self) -> bool | None:
        """Whether the model is to think first; None for the template's default."""
        options = self.chat_template_kwargs
        if options is not None:
            stated = options.enable_thinking
            if (stated if stated is not None else options.thinking) is not None:
                return stated if stated is not None else options.thinking
        return None if self.reasoning_effort is None else self.reasoning_effort != "none"
