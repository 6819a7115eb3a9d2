"""POST /v1/decisions and /v1/systemone: typed questions about one input, answered by probabilities.

Both shapes share one core: the state is prefilled once, and nothing is decoded.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

from forethought.contracts.calibration import Calibration
from forethought.contracts.errors import ForethoughtError
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.server.answering import answered, unless_left
from forethought.server.confidence_stream import DECISIONS
from forethought.server.context import ServerContext, context_of, tenant_of
from forethought.server.decision_shapes import (
    openai_answers,
    openai_questions,
    openai_state,
    systemone_answers,
    systemone_questions,
    systemone_state,
)
from forethought.server.errors import ApiError, as_api_error, bad_request
from forethought.server.json_body import problem_words, read_body, read_json
from forethought.server.openapi import described
from forethought.server.schemas.common import MethodFields
from forethought.server.schemas.decision_request import DecisionRequest
from forethought.server.schemas.systemone_request import SystemOneRequest
from forethought.server.settings import public_name
from forethought.sessions.decisions import (
    Decide,
    DecisionAnswer,
    DecisionQuestion,
    DecisionTemperatures,
    decide,
    decision_answers,
    predicate_calibration,
)
from forethought.sessions.live_session import LiveRequest
from forethought.storage.calibrations import stored_calibrations

ALIAS = "jev-latest"
"""The model that clients of System One name by default; here the server's own."""


def decisions_router(temperatures: DecisionTemperatures | None = None) -> APIRouter:
    """The routes of typed decisions; the temperatures calibrate their probabilities."""
    router = APIRouter()
    used = temperatures or DecisionTemperatures()

    @router.post("/v1/decisions", **described(DecisionRequest, "decisions"))
    async def decisions(request: Request) -> JSONResponse:
        """Answer typed questions about an input."""
        context = context_of(request)
        fields = await read_body(request, DecisionRequest, context.settings)
        asked = AskedDecisions("input", openai_state(fields), openai_questions(fields), used)
        answers, usage = await asked.answers(context, request, fields.model)
        return JSONResponse(openai_answers(fields, answers, usage))

    @router.post("/v1/systemone", **described(SystemOneRequest, "answers"))
    async def systemone(request: Request) -> JSONResponse:
        """Answer typed questions about a state."""
        try:
            return await _systemone(request, used)
        except ValidationError as error:
            return JSONResponse({"detail": _problems(error)}, 422)
        except ApiError as error:
            if error.status == 400:
                return JSONResponse({"detail": [_problem(error)]}, 422)
            detail = {"error_type": error.kind, "message": error.message, "hint": error.hint}
            return JSONResponse({"detail": detail}, error.status, error.headers)

    return router


async def _systemone(request: Request, temperatures: DecisionTemperatures) -> JSONResponse:
    context = context_of(request)
    try:
        given = await read_json(request, context.settings)
    except ApiError as error:
        error.code = "json_invalid" if error.status == 400 else error.code
        raise
    fields = SystemOneRequest.model_validate(given)
    state, questions = systemone_state(fields), systemone_questions(fields)
    asked = AskedDecisions("state", state, questions, temperatures)
    model = None if fields.model == ALIAS else fields.model
    answers, usage = await asked.answers(context, request, model)
    return JSONResponse(systemone_answers(fields, answers, usage))


def _problems(error: ValidationError) -> list[dict[str, Any]]:
    """The problems of a body, as validators of FastAPI list them."""
    return [
        {"loc": ["body", *one["loc"]], "msg": problem_words(one), "type": one["type"]}
        for one in error.errors(include_url=False)
    ]


def _problem(error: ApiError) -> dict[str, Any]:
    """A problem that is found after the body has been read, in the same shape."""
    place = error.param.split(".") if error.param else []
    message = f"{error.message}: {error.hint}" if error.hint else error.message
    return {"loc": ["body", *place], "msg": message, "type": error.code or "value_error"}


@dataclass(frozen=True)
class AskedDecisions:
    """Questions about one state."""

    field: str
    """The field of the request that holds the state."""
    state: str
    questions: Sequence[DecisionQuestion]
    temperatures: DecisionTemperatures

    async def answers(
        self, context: ServerContext, request: Request, name: str | None
    ) -> tuple[list[DecisionAnswer], tuple[int, int]]:
        """The answers, and the tokens read: all, and the cached ones among them.

        Raises ApiError.
        """
        context.check_ready()
        named = context.recipes.recipe(MethodFields(model=name))
        recipe = replace(named, confidence=(), abstain_below=0.0)
        _check_exact(recipe)
        model = context.model(recipe.model)
        search, tokens = await asyncio.to_thread(self._search, model)
        self._check_length(model, search)
        live = LiveRequest(
            f"decision-{uuid.uuid4().hex}",
            recipe,
            tenant=tenant_of(request),
            strategy=search,
            verdict_prompts=search.tokenized,
        )
        run = await unless_left(request, _run(context, live))
        fit = await asyncio.to_thread(_fit_of, recipe.model)
        found = decision_answers(run["answer"], search, self.questions, self.temperatures, fit)
        for question, answer in zip(self.questions, found, strict=True):
            sure = answer.confidence(question.kind)
            context.confidences.note(public_name(recipe.model), DECISIONS, sure)
        return found, (tokens, max(0, tokens - run["cost"]["scoring_tokens"]))

    def _check_length(self, model: Model, search: Decide) -> None:
        """Raise ApiError if the state does not fit the context together with each question."""
        longest = search.longest(model.tokenizer)
        context = model.for_length(longest).shape.context
        if longest > context:
            raise bad_request(
                f"the {self.field} has {longest:,} tokens together with its longest question, "
                f"and the model holds {context:,}",
                f"shorten the {self.field}",
                self.field,
                "context_length_exceeded",
            )

    def _search(self, model: Model) -> tuple[Decide, int]:
        search = decide(model, self.state, self.questions)
        return search, search.length(model.tokenizer)


def _check_exact(recipe: Recipe) -> None:
    """Raise ApiError for a recipe that decisions do not use."""
    if recipe.approximate or recipe.search:
        raise bad_request(
            "decisions read the whole input and decode nothing, so no method or search applies",
            f"name the model alone: {recipe.model}",
            "model",
        )


def _fit_of(model: str) -> Calibration | None:
    """The calibration of a model's predicates; raises ApiError for a damaged file."""
    try:
        return predicate_calibration(model, stored_calibrations())
    except ForethoughtError as error:
        raise as_api_error(error, None) from error


async def _run(context: ServerContext, live: LiveRequest) -> dict[str, Any]:
    """The document of a run that has ended."""
    async with aclosing(answered(context, live)) as events:
        async for event in events:
            if event.kind == "done":
                run: dict[str, Any] = event.data["run"]
                return run
    raise ApiError(500, "the run ended without a result")
