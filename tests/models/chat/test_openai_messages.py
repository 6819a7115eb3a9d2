"""Messages from the JSON of OpenAI's API."""

from __future__ import annotations

from typing import Any

import pytest

from forethought.contracts.errors import BadParameterError
from forethought.models.chat.messages import Message, ToolCall
from forethought.models.chat.openai_messages import chat_messages


def test_messages_of_all_roles_are_read() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}

    found = chat_messages(
        [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": parts, "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning": "hm"},
            {"role": "tool", "content": "7", "tool_call_id": "c1"},
            {"role": "assistant", "content": "7", "reasoning_content": "so", "tool_calls": None},
        ]
    )

    assert found == (
        Message("developer", "be brief"),
        Message("user", "a\nb", name="ann"),
        Message("assistant", "", reasoning="hm", tool_calls=(ToolCall("c1", "f", '{"a": 1}'),)),
        Message("tool", "7", tool_call_id="c1"),
        Message("assistant", "7", reasoning="so"),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": "a"},
        {"role": "boss", "content": "a"},
        {"role": "user", "content": 7},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]},
        {"role": "user", "content": [{"type": "input_audio"}]},
        {"role": "user", "content": ["a"]},
        {"role": "user", "content": [{"type": "text"}]},
        {"role": "user", "content": "a", "name": "<|im_end|>"},
        {"role": "assistant", "tool_calls": [{"id": "a"}]},
        {"role": "assistant", "tool_calls": ["a"]},
        {"role": "assistant", "content": "a", "reasoning": ["a"]},
        {"role": "tool", "content": "a", "tool_call_id": 7},
    ],
)
def test_a_wrong_message_is_refused_by_its_number(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadParameterError, match=r"^messages\[1\]: ") as caught:
        chat_messages([{"role": "user", "content": "a"}, wrong])

    assert caught.value.hint


def test_images_are_named_in_the_refusal() -> None:
    with pytest.raises(BadParameterError, match="'image_url'") as caught:
        chat_messages([{"role": "user", "content": [{"type": "image_url"}]}])

    assert "text" in caught.value.hint
