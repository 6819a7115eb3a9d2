"""The body of POST /v1/responses."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from forethought.server.schemas.chat_request import (
    NO_STORE,
    ChosenName,
    ContentPart,
    Effort,
)
from forethought.server.schemas.common import Fields as _Fields
from forethought.server.schemas.common import Name, SamplingFields, Text


class InputItem(_Fields):
    """A message, a function call or its output."""

    type: Literal["message", "function_call", "function_call_output", "reasoning"] = "message"
    id: Name | None = None
    status: Name | None = None
    role: Literal["user", "system", "developer", "assistant"] | None = None
    content: Text | Annotated[list[ContentPart], Field(max_length=4096)] | None = None
    call_id: Name | None = None
    name: Name | None = None
    arguments: Text | None = None
    output: Text | None = None
    summary: list[Any] | None = None


class ResponseTool(_Fields):
    """A function that the model may call."""

    type: Literal["function"]
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]
    description: Text | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChosenFunction(ChosenName):
    """The one function that the model must call."""

    type: Literal["function"]


class TextFormat(_Fields):
    """The format of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    name: Name = ""
    description: Text | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextOptions(_Fields):
    """Options of the answer's text."""

    format: TextFormat | None = None
    verbosity: Literal["medium"] | None = None


class ReasoningOptions(_Fields):
    """Options of the model's reasoning."""

    effort: Effort | None = None


class ResponsesRequest(SamplingFields):
    """A request for a response."""

    REFUSED: ClassVar[dict[str, str]] = {
        "previous_response_id": "no response is stored: send the whole conversation as input",
        "conversation": "no conversation is stored: send all of it as input",
        "prompt": "no prompt is stored: send it as input",
        "background": "use stream, and read the answer as it comes",
        "max_tool_calls": "tools run at the client",
        "include": "leave it out",
        "messages": "send input here, or the messages to /v1/chat/completions",
        "max_tokens": "use max_output_tokens",
        "n": "use /v1/chat/completions",
        "response_format": "use text.format",
        "stream_options": "the last event of a stream holds the usage",
        "max_completion_tokens": "use max_output_tokens",
    }

    REFUSED_IF_TRUE: ClassVar[dict[str, str]] = {"store": NO_STORE}

    input: Text | Annotated[list[InputItem], Field(min_length=1, max_length=4096)]
    instructions: Text | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=1 << 31)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    text: TextOptions | None = None
    tools: Annotated[list[ResponseTool], Field(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenFunction | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningOptions | None = None
    thinking_token_budget: Annotated[int, Field(ge=0, le=1 << 20)] | None = None
    truncation: Literal["disabled"] | None = None
    metadata: Annotated[dict[str, Name], Field(max_length=16)] | None = None
    store: Literal[False] | None = None
    """Only false: no response is stored, and the reply says so."""
    service_tier: Literal["auto", "default"] | None = None
    prompt_cache_key: Name | None = None
    prompt_cache_retention: Name | None = None
    safety_identifier: Name | None = None
