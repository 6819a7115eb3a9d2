"""From a request for a response to a chat request, so that both mean the same."""

from __future__ import annotations

from typing import Any

from forethought.server.errors import bad_request
from forethought.server.json_body import checked
from forethought.server.schemas.chat_request import ChatRequest
from forethought.server.schemas.common import SamplingFields
from forethought.server.schemas.responses_request import (
    InputItem,
    ResponsesRequest,
    TextFormat,
)

_SAME = (
    "parallel_tool_calls",
    "thinking_token_budget",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
)


def chat_request(asked: ResponsesRequest) -> ChatRequest:
    """The chat request with the same meaning; raises ApiError."""
    given = asked.model_dump(by_alias=True, exclude_none=True)
    fields = {name: given[name] for name in (*SamplingFields.model_fields, *_SAME) if name in given}
    fields.pop("stream", None)
    fields["messages"] = _messages(asked)
    fields["max_completion_tokens"] = asked.max_output_tokens
    if asked.top_logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": asked.top_logprobs}
    if asked.tools:
        fields["tools"] = [_tool(one) for one in given["tools"]]
    if asked.tool_choice is not None:
        fields["tool_choice"] = _tool_choice(given["tool_choice"])
    if asked.reasoning is not None and asked.reasoning.effort is not None:
        fields["reasoning_effort"] = asked.reasoning.effort
    if asked.text is not None and asked.text.format is not None:
        fields["response_format"] = _format(asked.text.format)
    return checked(ChatRequest, fields)


def _tool(given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {k: v for k, v in given.items() if k != "type"}}


def _tool_choice(given: Any) -> Any:
    if isinstance(given, str):
        return given
    return {"type": "function", "function": {"name": given["name"]}}


def _format(given: TextFormat) -> dict[str, Any]:
    if given.type != "json_schema":
        return {"type": given.type}
    schema = {"name": given.name, "schema": given.schema_, "strict": given.strict}
    return {"type": "json_schema", "json_schema": schema}


def _messages(asked: ResponsesRequest) -> list[dict[str, Any]]:
    first = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    if isinstance(asked.input, str):
        return [*first, {"role": "user", "content": asked.input}]
    return [*first, *(found for item in asked.input for found in _message(item))]


def _message(item: InputItem) -> list[dict[str, Any]]:
    if item.type == "reasoning":  # the model's own, which it does not read again
        return []
    if item.type == "function_call_output":
        return [{"role": "tool", "content": item.output or "", "tool_call_id": item.call_id}]
    if item.type == "function_call":
        function = {"name": item.name, "arguments": item.arguments or "{}"}
        call = {"id": item.call_id, "type": "function", "function": function}
        return [{"role": "assistant", "tool_calls": [call]}]
    if item.role is None or item.content is None:
        raise bad_request(
            "a message of the input has no role or no content", "give it both fields", "input"
        )
    content = item.content
    text = content if isinstance(content, str) else "\n".join(part.content for part in content)
    return [{"role": item.role, "content": text}]
