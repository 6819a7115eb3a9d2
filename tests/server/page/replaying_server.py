"""A server of the page's routes whose chat completions replay recorded runs.

Run it by hand: `python -m tests.server.page.replaying_server 8123`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from forethought.contracts.questions import Sample
from forethought.contracts.records import Event
from forethought.server.page_data import prompt_document
from forethought.server.page_router import PageSources, page_router
from forethought.server.served_runs import ServedRuns
from forethought.storage.run_log import RunLog, ServedRun
from tests.server.page import recordings


@dataclass
class Recorded:
    """Replays the recorded run whose method or search a request names."""

    log: RunLog
    pause: float = 0.0
    """Seconds between two events."""
    extra: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    """Runs beside the recorded ones, by the question that asks for them."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    models: list[str] = field(default_factory=lambda: ["smollm2", "qwen-coder-0.5b"])
    tokens: list[str] | None = None
    """The texts of every prompt's tokens, instead of the recorded ones."""
    left: int = 0
    """Requests that their clients left before the end."""

    def name(self, body: dict[str, Any]) -> str:
        stated = [*body.get("approximate", []), body.get("search", "")]
        known = ("specpc", "snapkv", "particle-filter", "beam")
        return next((one for one in known for text in stated if text.startswith(one)), "exact")

    async def answer(self, body: dict[str, Any]) -> AsyncIterator[str]:
        self.requests.append(body)
        question = body["messages"][-1]["content"]
        name = self.name(body)
        events = self.extra.get(question) or recordings.events(name)
        identifier = f"chatcmpl-{uuid.uuid4()}"
        prompt = prompt_document(recordings.prompt(name))
        prompt["tokens"] = self.tokens or prompt["tokens"]
        try:
            for event in events:
                await asyncio.sleep(self.pause)
                if event.kind == "done":
                    run = ServedRun(identifier, time.time(), events, question, prompt)
                    await asyncio.to_thread(self.log.record, run)
                yield f"data: {json.dumps(_chunk(identifier, event))}\n\n"
        except asyncio.CancelledError:
            self.left += 1
            raise
        yield "data: [DONE]\n\n"


def _chunk(identifier: str, event: Event) -> dict[str, Any]:
    text = event.data["text"] if event.kind == "token" else ""
    return {
        "id": identifier,
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": text} if text else {}}],
        "forethought": {"event": asdict(event)},
    }


def app(recorded: Recorded, samples: list[Sample]) -> FastAPI:
    made = FastAPI()

    def live() -> dict[str, Any]:
        return {
            "tokens_per_second": 38.0 + time.time() % 9,
            "running": 3,
            "waiting": 1,
            "cache_bytes": 48 << 20,
            "cache_limit_bytes": 1 << 30,
            "prefix_cache_bytes": 21 << 20,
            "prefix_hit_tokens": 5200,
            "prefix_query_tokens": 7400,
        }

    made.include_router(page_router(PageSources(ServedRuns(recorded.log), live, lambda: samples)))

    @made.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"data": [{"id": name} for name in recorded.models]}

    @made.post("/v1/chat/completions")
    async def chat(request: Request) -> StreamingResponse:
        body = await request.json()
        return StreamingResponse(recorded.answer(body), media_type="text/event-stream")

    return made


def stored_samples() -> list[Sample]:
    """Samples made from recorded runs: three recipes on one task of four questions."""
    found = []
    for name, scores in {
        "exact": (1, 1, 0, 1),
        "specpc": (1, 0, 1, 1),
        "snapkv": (1, 0, 0, 1),
    }.items():
        run = recordings.document(name)
        for number, score in enumerate(scores):
            key = f"{name}-{number}"
            found.append(
                Sample(key, run["recipe"], "needle(count=4)", f"q{number}", f"q{number}", 0,
                       float(score), run, {})
            )  # fmt: skip
    return found


@contextmanager
def serving(recorded: Recorded, samples: list[Sample], port: int = 0) -> Iterator[str]:
    """The address of a running server."""
    config = uvicorn.Config(app(recorded, samples), port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    address = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://127.0.0.1:{address[1]}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        log = RunLog.open(Path(folder) / "runs.sqlite")
        with serving(Recorded(log, pause=0.05), stored_samples(), int(sys.argv[1])) as address:
            print(address, flush=True)
            while True:
                time.sleep(60)
