"""The routes of the page: its files, and the catalogue, runs, comparisons and live figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from forethought.contracts.errors import ForethoughtError
from forethought.contracts.questions import Sample
from forethought.contracts.records import Event
from forethought.recipes.recipe import Recipe
from forethought.server.errors import ApiError, as_api_error
from forethought.server.page_data import (
    catalogue_document,
    comparisons_document,
    recipe_document,
)
from forethought.server.page_files import HEADERS, exported, page_files
from forethought.server.served_runs import RunInProgress, ServedRuns
from forethought.storage.run_log import ServedRun


def _one_tenant(request: Request) -> str:
    return ""


@dataclass(frozen=True)
class PageSources:
    """The sources of the page's data."""

    runs: ServedRuns
    """The runs in progress, and those that have ended."""
    live: Callable[[], Mapping[str, Any]]
    """The figures of this moment; see `LIVE_FIELDS`."""
    samples: Callable[[], Sequence[Sample]]
    """The samples of the results file."""
    tenant: Callable[[Request], str] = _one_tenant
    """The partition of the caller."""
    recipe: Recipe = field(default_factory=Recipe)
    """The server's recipe, with which the page begins."""

    def ended(self, identifier: str, request: Request) -> ServedRun | None:
        """A run of the caller that has ended."""
        log = self.runs.log
        return None if log is None else log.get(identifier, self.tenant(request))

    def in_progress(self, identifier: str, request: Request) -> RunInProgress | None:
        """A run of the caller that has not ended."""
        return self.runs.in_progress(identifier, self.tenant(request))


LIVE_FIELDS = (
    "tokens_per_second",
    "running",
    "waiting",
    "cache_bytes",
    "cache_limit_bytes",
    "prefix_cache_bytes",
    "prefix_hit_tokens",
    "prefix_query_tokens",
)
"""Fields of a live snapshot that the page shows; a source may leave some out."""


def page_router(sources: PageSources) -> APIRouter:
    """The routes of the page."""
    router = APIRouter()
    _add_files(router)
    _add_runs(router, sources)

    @router.get("/v1/catalogue", tags=["page"])
    def catalogue() -> dict[str, Any]:
        """Methods, strategies and scorers with the types and limits of their parameters."""
        own = sources.recipe
        default = recipe_document(own.spelling, own.settings, own.seed)
        return {**catalogue_document(), "default": default}

    @router.get("/v1/comparisons", tags=["page"])
    def comparisons() -> Response:
        """Score against cost of the recipes in the results file, by task."""
        try:
            return JSONResponse({"data": comparisons_document(sources.samples())})
        except ForethoughtError as error:  # such as a damaged results file
            return as_api_error(error).response()

    @router.get("/v1/live", tags=["page"])
    def live() -> dict[str, Any]:
        """Throughput, queue, KV cache and prefix cache at this moment."""
        return dict(sources.live())

    return router


def _add_files(router: APIRouter) -> None:
    @router.get("/", include_in_schema=False)
    def index() -> Response:
        return _static("index.html")

    @router.get("/page/{name}", include_in_schema=False)
    def file(name: str) -> Response:
        return _static(name)


def _static(name: str) -> Response:
    found = page_files().get(name)
    if found is None:
        return _not_found(f"the page has no file {name[:100]!r}", "open / instead")
    return Response(found.text, media_type=found.content_type, headers=HEADERS)


def _add_runs(router: APIRouter, sources: PageSources) -> None:
    @router.get("/v1/runs", tags=["page"])
    def runs(request: Request, limit: int = Query(200, ge=1, le=1000)) -> dict[str, Any]:
        """The newest runs, newest first; their states are `running`, `done` and `failed`."""
        return {"data": sources.runs.summaries(sources.tenant(request), limit)}

    @router.get("/v1/runs/{identifier}", tags=["page"], responses=_MISSING)
    def run(identifier: str, request: Request) -> Response:
        """The document of a run, its prompt, and its recipe as the form holds it."""
        if (running := sources.in_progress(identifier, request)) is not None:
            return JSONResponse(running_document(running))
        found = sources.ended(identifier, request)
        return JSONResponse(run_document(found)) if found else _no_run(identifier)

    @router.get("/v1/runs/{identifier}/events", tags=["page"], responses=_MISSING)
    async def events(identifier: str, request: Request) -> Response:
        """The events of a run as server-sent events, in order; also while it is in progress."""
        if (running := sources.in_progress(identifier, request)) is not None:
            return StreamingResponse(_lines(running), media_type="text/event-stream")
        found = await asyncio.to_thread(sources.ended, identifier, request)
        if found is None:
            return _no_run(identifier)
        return StreamingResponse(_event_lines(found), media_type="text/event-stream")

    @router.get("/v1/runs/{identifier}/export", tags=["page"], responses=_MISSING)
    def export(identifier: str, request: Request) -> Response:
        """A run as one self-contained HTML file."""
        if sources.in_progress(identifier, request) is not None:
            told = f"the run {identifier[:100]!r} has not ended"
            return ApiError(409, told, "export it once its state is done").response()
        found = sources.ended(identifier, request)
        if found is None:
            return _no_run(identifier)
        return _export(found)


def run_document(run: ServedRun) -> dict[str, Any]:
    """The document of a run with its id, question, prompt and form; for a failed run, its entry."""
    document = run.summary() if run.failed is not None else {**run.document, "state": "done"}
    return {
        **document,
        "id": run.id,
        "created": run.created,
        "question": run.question,
        "answer": run.answer,
        "prompt": run.prompt,
        "form": recipe_document(document["recipe"], document["settings"], document["seed"]),
    }


def running_document(run: RunInProgress) -> dict[str, Any]:
    """The document of a run in progress: what is known of it."""
    known = run.summary()
    return {
        **known,
        "question": run.question,
        "answer": run.answer,
        "prompt": run.prompt,
        "form": recipe_document(known["recipe"], known["settings"], known["seed"]),
    }


def _export(run: ServedRun) -> Response:
    """The file of a run."""
    if run.failed is not None:
        told = f"the run {run.id[:100]!r} ended with an error"
        return ApiError(409, told, "see its error instead: GET /v1/runs/ID").response()
    content = {"run": run_document(run), "events": [asdict(event) for event in run.events]}
    title = f"Forethought: {run.document['recipe']}"
    named = {"Content-Disposition": f'attachment; filename="{_file_name(run)}"'}
    return HTMLResponse(exported(title, content), headers=named)


def _event_lines(run: ServedRun) -> Iterator[str]:
    yield from map(_line, run.events)
    yield _DONE


async def _lines(run: RunInProgress) -> AsyncIterator[str]:
    async for event in run.follow():
        yield _line(event)
    if run.error is not None:
        yield _line(Event("error", run.error["error"]))
    yield _DONE


def _line(event: Event) -> str:
    return f"data: {json.dumps(asdict(event))}\n\n"


_DONE = "data: [DONE]\n\n"


def _file_name(run: ServedRun) -> str:
    safe = "".join(sign for sign in run.id if sign.isascii() and (sign.isalnum() or sign in "-_"))
    return f"forethought-{safe[:48]}.html"


def _no_run(identifier: str) -> Response:
    return _not_found(f"there is no run {identifier[:100]!r}", "see: GET /v1/runs")


def _not_found(message: str, hint: str) -> Response:
    return ApiError(404, message, hint).response()


_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "No such run."}}
