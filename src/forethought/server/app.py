"""The application: routes, layers and the life of the engine."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from forethought.contracts.questions import Sample
from forethought.server import chat, completions, responses, status, tokenization
from forethought.server.context import Engine, ServerContext, tenant_of
from forethought.server.decisions import decisions_router
from forethought.server.errors import ApiError, bad_request
from forethought.server.guard import Guard
from forethought.server.metrics import Metrics, gauges
from forethought.server.openapi import openapi_document
from forethought.server.page_router import PageSources, page_router
from forethought.server.served_models import ServedModels
from forethought.server.served_runs import ServedRuns
from forethought.server.settings import ServerSettings, public_name
from forethought.sessions.measurements import stored_samples

ROUTERS = (status, chat, completions, responses, tokenization)


def create_app(
    engine: Engine,
    models: ServedModels,
    settings: ServerSettings,
    *,
    clock: Callable[[], float] = time.perf_counter,
    runs: ServedRuns | None = None,
    at_end: Callable[[], None] = lambda: None,
) -> FastAPI:
    """The application over a running engine; `at_end` is called when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        at_end()

    app = FastAPI(
        title="Forethought",
        version=metadata.version("forethought"),
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from other hosts
        redoc_url=None,
    )

    named = public_name(settings.recipe.model)
    told = Metrics(named, lambda: gauges(engine.figures()), clock, engine.queue_waits)
    context = ServerContext(engine, models, settings, told, runs or ServedRuns())
    app.state.context = context
    for one in ROUTERS:
        app.include_router(one.router)
    app.include_router(decisions_router())
    app.include_router(page_router(_page_sources(context)))
    app.add_exception_handler(RequestValidationError, _query_error)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(Guard, settings=settings)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    return app


def _page_sources(context: ServerContext) -> PageSources:
    """The data of the page; it asks for them anew each time."""

    def live() -> dict[str, float]:
        figures = context.engine.figures()
        return {**figures, "tokens_per_second": context.runs.throughput.rate}

    def samples() -> Sequence[Sample]:
        # The results file is the operator's, and of several keys none is known to be.
        return () if len(context.settings.keys) > 1 else stored_samples()

    return PageSources(context.runs, live, samples, tenant_of, context.settings.recipe)


async def _query_error(request: Request, error: Any) -> JSONResponse:
    """A wrong parameter in the address."""
    first = error.errors()[0]
    place = str(first["loc"][-1])
    return bad_request(f"{place}: {first['msg'].lower()}", "see /openapi.json", place).response()


async def _api_error(request: Request, error: Any) -> JSONResponse:
    response: JSONResponse = error.response()
    return response


async def _http_error(request: Request, error: Any) -> JSONResponse:
    """An error of the router: an unknown path, or a wrong method."""
    path, method = request.url.path[:100], request.method
    told = (
        f"{path!r} does not answer {method}"
        if error.status_code == 405
        else f"no path of this server is called {path!r}"
        if error.status_code == 404
        else str(error.detail)
    )
    headers = dict(error.headers or {})
    if "GET" in headers.get("Allow", ""):
        headers["Allow"] += ", HEAD"
    return ApiError(error.status_code, told, "see /openapi.json", headers=headers).response()
