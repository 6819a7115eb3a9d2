"""GET /health, /ready, /metrics and /v1/models."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from forethought.server.context import ServerContext, context_of
from forethought.server.errors import ApiError
from forethought.server.openapi import failures

router = APIRouter()


@router.get("/health", responses=failures())
async def health() -> JSONResponse:
    """Whether the server runs."""
    return JSONResponse({"status": "ok"})


@router.get("/ready", responses=failures())
async def ready(request: Request) -> JSONResponse:
    """Whether the models are loaded; status 503 until then."""
    context_of(request).check_ready()
    return JSONResponse({"status": "ready"})


@router.get("/metrics", responses=failures())
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    return Response(context_of(request).metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/models", responses=failures())
async def models(request: Request) -> JSONResponse:
    """The models that requests may name."""
    context = context_of(request)
    names = context.settings.served
    return JSONResponse({"object": "list", "data": [_model(context, name) for name in names]})


@router.get("/v1/models/{name:path}", responses=failures())
async def model(request: Request, name: str) -> JSONResponse:
    """A model that requests may name."""
    context = context_of(request)
    if name not in context.settings.served:
        raise ApiError(
            404,
            f"no model {name[:100]!r} is served",
            f"served: {', '.join(context.settings.served)}",
            param="model",
            code="model_not_found",
        )
    return JSONResponse(_model(context, name))


def _model(context: ServerContext, name: str) -> dict[str, Any]:
    found = context.models.get(context.settings.served[name])
    default = context.settings.recipe
    is_default = context.settings.served[name] == default.model
    return {
        "id": name,
        "object": "model",
        "created": context.created,
        "owned_by": "forethought",
        "root": name,
        "parent": None,
        "max_model_len": None if found is None else found.shape.context,
        "confidence": context.confidences.of(name),
        "recipe": context.settings.public_text(default.spelling) if is_default else name,
    }
