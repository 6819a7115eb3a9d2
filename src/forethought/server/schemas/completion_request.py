"""The body of POST /v1/completions."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from forethought.server.schemas.common import SamplingFields, Text, TokenId

Ids = Annotated[list[TokenId], Field(min_length=1, max_length=1 << 20)]


class CompletionRequest(SamplingFields):
    """A text completion request."""

    REFUSED: ClassVar[dict[str, str]] = {
        "suffix": "models here complete the end of a text alone",
        "messages": "send messages to /v1/chat/completions",
        "prompt_logprobs": "use echo and logprobs",
        "top_logprobs": "logprobs is a number here",
        "use_beam_search": "use search, such as beam(width=4)",
        "prompt_embeds": "send the prompt as text or token ids",
        "guided_json": "use response_format, or structured_outputs",
        "guided_regex": "use structured_outputs",
        "guided_choice": "use structured_outputs",
        "guided_grammar": "use structured_outputs",
    }

    prompt: (
        Text
        | Ids
        | Annotated[list[Text], Field(min_length=1, max_length=1024)]
        | Annotated[list[Ids], Field(min_length=1, max_length=1024)]
    )
    best_of: Annotated[int, Field(ge=1, le=1024)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    add_special_tokens: bool | None = None
    """Whether a text begins with the BOS token, if the model has one; true by default."""

    @property
    def prompts(self) -> list[str] | list[list[int]]:
        """The prompts, each as text or as token ids."""
        given = self.prompt
        if isinstance(given, str):
            return [given]
        return [given] if isinstance(given[0], int) else given
