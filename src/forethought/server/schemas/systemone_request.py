"""The body of POST /v1/systemone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from forethought.server.schemas.common import Fields, Name, Text

Value = Text | dict[str, Any] | list[Any]
"""Text, or JSON that is shown as such."""
MOST_OPTIONS = 255


class NoulCriteria(Fields):
    """The meanings of yes and no."""

    true: Value | None = None
    false: Value | None = None


class NoulQuestion(Fields):
    """How probable is yes?"""

    type: Literal["noul"]
    instructions: Value | None = None
    criteria: NoulCriteria | None = None


class OptionsQuestion(Fields):
    """Which option fits?"""

    type: Literal["choice"]
    criteria: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=4096)], Value | None],
        Field(min_length=2, max_length=MOST_OPTIONS),
    ]
    """Options, with descriptions or null."""
    instructions: Value | None = None


class LevelsQuestion(Fields):
    """Which level fits?"""

    type: Literal["score"]
    criteria: Annotated[list[Value], Field(min_length=2, max_length=MOST_OPTIONS)]
    """Levels, the lowest first."""
    instructions: Value | None = None


class Asset(Fields):
    """An image of the state; models here read text alone."""

    type: Literal["image"]
    format: Name
    data_base64: Text


SystemOneQuestion = Annotated[
    NoulQuestion | OptionsQuestion | LevelsQuestion, Field(discriminator="type")
]


class SystemOneRequest(Fields):
    """Typed questions about one state."""

    model: Name
    state: Value
    questions: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=4096)], SystemOneQuestion],
        Field(min_length=1, max_length=64),
    ]
    assets: Annotated[dict[Name, Asset], Field(max_length=4)] | None = None

    @model_validator(mode="after")
    def _text_alone(self) -> SystemOneRequest:
        if self.assets:
            raise ValueError("this model reads text, and the state has images")
        return self
