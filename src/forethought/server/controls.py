"""From the fields of a request to the controls of decoding."""

from __future__ import annotations

import asyncio
import json

from forethought.contracts.controls import GenerationControls
from forethought.contracts.errors import ForethoughtError
from forethought.models.model import Model
from forethought.models.tokenization.grammar import grammar_constraint
from forethought.server.errors import as_api_error, bad_request
from forethought.server.schemas.common import (
    ResponseFormat,
    SamplingFields,
    StructuredOutputs,
)

_FORMATS = ("structured_outputs", "response_format")
"""Fields with a grammar; without them, the tools make one."""
_ANY_OBJECT = '{"type": "object"}'
Grammar = tuple[str, str]
"""A grammar and its kind."""


def controls_of(
    asked: SamplingFields,
    *,
    calls: str = "",
    thinking_budget: int | None = None,
    ignore_end: bool = False,
    score_only: bool = False,
) -> GenerationControls:
    """The controls that the fields state; raises ApiError.

    `calls` is the grammar of tool calls that the request demands.
    """
    grammar, kind = grammar_of(asked.response_format, asked.structured_outputs, calls)
    try:
        return GenerationControls(
            logit_bias=tuple(
                (int(token), bias) for token, bias in (asked.logit_bias or {}).items()
            ),
            frequency_penalty=asked.frequency_penalty or 0.0,
            presence_penalty=asked.presence_penalty or 0.0,
            repetition_penalty=asked.repetition_penalty or 1.0,
            min_tokens=asked.min_tokens or 0,
            ignore_end=bool(asked.ignore_eos) or ignore_end,
            stop_token_ids=tuple(asked.stop_token_ids or ()),
            allowed_tokens=tuple(asked.allowed_token_ids or ()),
            grammar=grammar,
            grammar_kind=kind,  # type: ignore[arg-type]
            thinking_budget=thinking_budget,
            score_only=score_only,
        )
    except ForethoughtError as error:
        raise as_api_error(error) from error


async def check_grammar(
    model: Model | None, controls: GenerationControls, asked: SamplingFields
) -> None:
    """Compile the grammar for the engine, in another thread; raises ApiError if it is unusable.

    A complex grammar takes seconds, for which the engine's thread would stall all answers.
    """
    if model is None or not controls.grammar:
        return
    grammar, kind = controls.grammar, controls.grammar_kind
    try:
        await asyncio.to_thread(grammar_constraint, model.tokenizer, grammar, kind)
    except ForethoughtError as error:
        stated = (name for name in _FORMATS if getattr(asked, name) is not None)
        raise as_api_error(error, next(stated, "tools")) from error


def grammar_of(
    wanted: ResponseFormat | None, structured: StructuredOutputs | None, calls: str = ""
) -> Grammar:
    """The grammar of an answer and its kind; raises ApiError for two or an empty one."""
    forced = [(calls, "lark")] if calls else []
    found = [*_formatted(wanted), *_structured(structured), *forced]
    if len(found) > 1:
        raise bad_request(
            "the request states two formats of the answer",
            "use one of response_format, structured_outputs and a tool_choice that demands a call",
            "response_format",
        )
    return found[0] if found else ("", "json")


def _formatted(wanted: ResponseFormat | None) -> list[Grammar]:
    if wanted is None or wanted.type == "text":
        return []
    if wanted.type == "json_object":
        return [(_ANY_OBJECT, "json")]
    if wanted.json_schema is None or wanted.json_schema.schema_ is None:
        raise bad_request(
            "response_format has no schema",
            "give json_schema: {name, schema}",
            "response_format.json_schema",
        )
    return [(json.dumps(wanted.json_schema.schema_), "json")]


def _structured(wanted: StructuredOutputs | None) -> list[Grammar]:
    if wanted is None:
        return []
    schema = wanted.json_schema
    text = schema if isinstance(schema, str) or schema is None else json.dumps(schema)
    choice = None if wanted.choice is None else json.dumps(wanted.choice)
    stated = ((text, "json"), (wanted.regex, "regex"), (choice, "choice"), (wanted.grammar, "lark"))
    found = [(grammar, kind) for grammar, kind in stated if grammar is not None]
    if not all(grammar for grammar, _ in found):
        raise bad_request(
            "structured_outputs holds an empty grammar",
            "give one of json, regex, choice and grammar",
            "structured_outputs",
        )
    return found
