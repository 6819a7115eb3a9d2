"""The body of POST /v1/decisions, in the shape of OpenAI's API."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from forethought.server.schemas.common import Fields, Name, Text

MOST_JSON_VALUES, MOST_JSON_BYTES, MOST_JSON_DEPTH = 10_000, 256 * 1024, 32
MOST_QUESTIONS, MOST_CHOICES = 400, 255


class CacheBreakpoint(Fields):
    """Accepted and unused: the state is always cached for the questions of a request."""

    mode: Literal["explicit"]


class CachedPart(Fields):
    """A part that may end a cached prefix."""

    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputText(CachedPart):
    """Text."""

    type: Literal["input_text"]
    text: Text

    @property
    def shown(self) -> str:
        """The part as text."""
        return self.text


class InputJson(CachedPart):
    """An object, or an array of objects."""

    type: Literal["input_json"]
    data: dict[str, Any] | list[dict[str, Any]]

    @property
    def shown(self) -> str:
        """The part as text."""
        return json.dumps(self.data, ensure_ascii=False)

    @model_validator(mode="after")
    def _within_limits(self) -> InputJson:
        values, level, depth = 0, [self.data], 0
        while level:
            depth, values = depth + 1, values + len(level)
            level = [
                inner
                for one in level
                if isinstance(one, dict | list)
                for inner in (one.values() if isinstance(one, dict) else one)
            ]
            if depth > MOST_JSON_DEPTH or values > MOST_JSON_VALUES:
                raise ValueError("input_json has more than 32 levels or 10,000 values")
        if len(self.shown.encode()) > MOST_JSON_BYTES:
            raise ValueError("input_json has more than 256 KiB")
        return self


class OutputText(Fields):
    """Text of an earlier answer."""

    type: Literal["output_text"]
    text: Text

    @property
    def shown(self) -> str:
        """The part as text."""
        return self.text


class OutputRefusal(Fields):
    """An earlier refusal."""

    type: Literal["refusal"]
    refusal: Text

    @property
    def shown(self) -> str:
        """The part as text."""
        return self.refusal


InputPart = InputText | InputJson | OutputText | OutputRefusal
Content = Text | Annotated[list[InputPart], Field(min_length=1, max_length=4096)]
_PARTS = {
    "user": ("input_text", "input_json"),
    "developer": ("input_text",),
    "system": ("input_text",),
    "assistant": ("output_text", "refusal"),
}


class InputMessage(Fields):
    """A message of the input."""

    role: Literal["user", "developer", "system", "assistant"]
    content: Content
    type: Literal["message"] = "message"
    phase: Literal["commentary", "final_answer"] | None = None

    @model_validator(mode="after")
    def _parts_of_role(self) -> InputMessage:
        if self.phase is not None and self.role != "assistant":
            raise ValueError("only messages of role assistant have a phase")
        if isinstance(self.content, list):
            for part in self.content:
                if part.type not in _PARTS[self.role]:
                    raise ValueError(f"a message of role {self.role} has no part {part.type}")
        return self


class InputCall(Fields):
    """A call of a function or a custom tool."""

    type: Literal["function_call", "custom_tool_call"]
    call_id: Name
    name: Name
    arguments: Text | None = None
    input: Text | None = None
    id: Name | None = None
    namespace: Name | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None

    @property
    def given(self) -> str:
        """The arguments of the function, or the input of the tool."""
        return (self.arguments if self.type == "function_call" else self.input) or ""

    @model_validator(mode="after")
    def _fields_of_type(self) -> InputCall:
        function = self.type == "function_call"
        wanted, other = (self.arguments, self.input) if function else (self.input, self.arguments)
        if wanted is None or other is not None:
            raise ValueError("a function_call has arguments, and a custom_tool_call has input")
        return self


class InputCallOutput(Fields):
    """The output of an earlier call."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: Name
    output: Text | Annotated[list[InputText], Field(max_length=4096)]
    id: Name | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None


class AskedQuestion(Fields):
    """The fields of every question."""

    instructions: (
        Text | Annotated[list[InputText | InputJson], Field(min_length=1, max_length=4096)]
    )
    name: Name | None = None


class PredicateQuestion(AskedQuestion):
    """How probable is it that a statement holds?"""

    type: Literal["predicate"]


class ChoiceOption(Fields):
    """A permitted answer; "true" and true differ."""

    value: Text | bool
    description: Text | None = None


class ChoiceQuestion(AskedQuestion):
    """Which of the choices fits?"""

    type: Literal["choice"]
    choices: Annotated[list[ChoiceOption], Field(min_length=2, max_length=MOST_CHOICES)]

    @model_validator(mode="after")
    def _unique(self) -> ChoiceQuestion:
        if len({(type(one.value), one.value) for one in self.choices}) < len(self.choices):
            raise ValueError("two choices have the same value")
        return self


class ScoreLevel(Fields):
    """A level of a score."""

    label: Text
    description: Text | None = None


class ScoreQuestion(AskedQuestion):
    """Which of the ordered levels fits?"""

    type: Literal["score"]
    levels: Annotated[list[ScoreLevel], Field(min_length=2, max_length=MOST_CHOICES)]


class CacheOptions(Fields):
    """Accepted and unused: the state is always cached for the questions of a request."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m"] | None = None


class DecisionRequest(Fields):
    """Typed questions about one input."""

    model: Name
    input: (
        Text
        | Annotated[
            list[InputMessage | InputCall | InputCallOutput], Field(min_length=1, max_length=4096)
        ]
    )
    questions: Annotated[
        list[
            Annotated[
                PredicateQuestion | ChoiceQuestion | ScoreQuestion, Field(discriminator="type")
            ]
        ],
        Field(min_length=1, max_length=MOST_QUESTIONS),
    ]
    prompt_cache_key: Name | None = None
    prompt_cache_options: CacheOptions | None = None
    safety_identifier: Annotated[str, Field(max_length=128)] | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> DecisionRequest:
        names = [one.name for one in self.questions if one.name is not None]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"two questions have the name {twice[0][:60]!r}")
        return self

    @model_validator(mode="after")
    def _outputs_match_calls(self) -> DecisionRequest:
        calls: set[str] = set()
        for item in self.input if isinstance(self.input, list) else ():
            if isinstance(item, InputCall):
                calls.add(item.call_id)
            elif isinstance(item, InputCallOutput) and item.call_id not in calls:
                raise ValueError(f"no earlier call has the call_id {item.call_id[:60]!r}")
        return self
