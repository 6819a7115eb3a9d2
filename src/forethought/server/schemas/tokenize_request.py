"""The bodies of POST /tokenize and /detokenize."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from forethought.server.schemas.chat_request import ChatMessage, TemplateOptions, Tool
from forethought.server.schemas.common import Fields, Name, Text, TokenId


class TokenizeRequest(Fields):
    """A text, or a conversation, to tokenize."""

    model: Name | None = None
    prompt: Text | None = None
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=4096)] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    add_special_tokens: bool | None = None
    """Whether a text begins with the BOS token, if the model has one; true by default."""
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: TemplateOptions | None = None
    return_token_strs: bool | None = None


class DetokenizeRequest(Fields):
    """Token ids to turn into text."""

    model: Name | None = None
    tokens: Annotated[list[TokenId], Field(max_length=1 << 20)]
