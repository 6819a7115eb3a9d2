"""Fields that several requests share: methods, sampling, controls of decoding."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=1 << 24)]
Name = Annotated[str, Field(max_length=4096)]
Names = Annotated[list[Name], Field(max_length=32)]
TokenId = Annotated[int, Field(ge=0, lt=1 << 31)]
Bias = Annotated[float, Field(ge=-100, le=100)]
Budget = Annotated[int, Field(ge=0, le=1 << 20)]


class Fields(BaseModel):
    """Strict fields: no unknown names, no conversion between types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    REFUSED: ClassVar[dict[str, str]] = {}
    """Known fields that are not supported, and what to do instead."""
    REFUSED_IF_TRUE: ClassVar[dict[str, str]] = {}
    """Known switches that may only be false, and what to do instead."""


class MethodFields(Fields):
    """The recipe of a request: the model's name, and fields that add to it."""

    model: Name | None = None
    """A model of /v1/models, or a recipe: `smollm2+specpc-shallow(keep=512)@majority-vote(n=8)`."""
    approximate: Name | Names | None = None
    """Methods of `forethought list`; an empty list, or `exact`, for none."""
    search: Name | None = None
    """A strategy of `forethought list strategies`, such as `majority-vote(n=8)`."""
    scorer: Name | None = None
    """The scorer of the search: see `forethought list scorers`."""
    budget: Name | None = None
    """Maximum to spend: `500tok`, `2s` or `1TFLOP`, joined by commas."""
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """The agreement at which a search stops; without a search, that of `adaptive`."""
    confidence_by: Name | Names | None = None
    """How sure the answer is, by scorers such as `p-true`; the first decides; empty for none."""
    abstain_below: Annotated[float, Field(ge=0, le=1)] | None = None
    """Withhold an answer whose confidence is lower, as a refusal."""
    spend: Literal["auto"] | None = None
    """auto: sample while a further answer pays; the answer may be withheld."""
    value: Name | None = None
    """What a right answer is worth, with `spend`: `60x` the first answer's price, or `5TFLOP`."""
    penalty: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Loss for a wrong answer, with `spend`, as a share of `value`."""
    draft: Name | None = None
    """The draft model; `self` is the model itself."""
    document: Text | None = None
    """A text before the question, which methods may shorten."""
    stream_events: bool | None = None
    """Whether a stream also holds the events of the run."""


class StructuredOutputs(Fields):
    """Constraints on an answer, as vLLM names them; exactly one of them."""

    json_schema: dict[str, Any] | Text | None = Field(default=None, alias="json")
    regex: Text | None = None
    choice: (
        Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1999)]
        | None
    ) = None
    """Permitted answers, as many as the grammar's parser holds at once."""
    grammar: Text | None = None


class JsonSchema(Fields):
    """A named JSON schema."""

    name: Name = ""
    description: Text | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormat(Fields):
    """The format of an answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Fields):
    """Options of a stream."""

    include_usage: bool | None = None
    continuous_usage_stats: Literal[False] | None = None
    include_obfuscation: bool | None = None


class SamplingFields(MethodFields):
    """Sampling, controls and limits of an answer."""

    n: Annotated[int, Field(ge=1, le=1024)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    stop: (
        Annotated[str, Field(min_length=1, max_length=1024)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(max_length=16)
        ]
        | None
    ) = None
    include_stop_str_in_output: bool | None = None
    max_tokens: Annotated[int, Field(ge=0, le=1 << 31)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, le=1 << 20)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = None
    logit_bias: (
        Annotated[
            dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], Bias], Field(max_length=1024)
        ]
        | None
    ) = None
    min_tokens: Budget | None = None
    ignore_eos: bool | None = None
    stop_token_ids: Annotated[list[TokenId], Field(max_length=128)] | None = None
    allowed_token_ids: Annotated[list[TokenId], Field(max_length=1 << 16)] | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Name | None = None
    """Accepted and unused: keys tell tenants apart."""
    # vllm-router writes these, at their defaults, into every request that it forwards.
    skip_special_tokens: Literal[True] | None = None
    no_stop_trim: Literal[False] | None = None
    return_hidden_states: Literal[False] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with a chunk of usage."""
        return bool(self.stream_options and self.stream_options.include_usage)
