"""Streaming clients of an OpenAI-compatible server, and their measurements.

Connections are raw sockets of asyncio, so that a client takes little of a processor that the server
needs too. Any server that speaks the API can be loaded in the same way.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

WORDS = [
    "river", "stone", "north", "market", "window", "paper", "seven", "garden", "letter", "winter",
    "copper", "bridge", "answer", "silver", "music", "corner", "island", "summer", "butter",
    "yellow", "number", "engine", "simple", "harbour", "candle", "forest",
]  # fmt: skip
_LINE = 1 << 20
"""Longest line of a reply in bytes."""


@dataclass(frozen=True)
class Load:
    """The clients of a server, and their requests."""

    base: str
    """The address up to the version, such as http://127.0.0.1:8000/v1."""
    model: str
    clients: int = 64
    seconds: float = 60.0
    max_tokens: int = 64
    prompt_tokens: int = 64
    key: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of the body, such as {"ignore_eos": true}."""
    completions: bool = False
    """Use /completions instead of /chat/completions."""
    leaving: float = 0.0
    """The share of clients whose streams are closed at a random token."""
    long_every: float = 0.0
    """Seconds between long prompts; 0 for none."""
    long_tokens: int = 6000
    idle: int = 0
    """Connections that stay open without a request in progress."""
    idle_path: str = "/health"
    """What an idle connection requests once."""
    words: float = 0.0
    """Words of a prompt for each token; 0 to find out, so that it holds for one tokenizer."""
    seed: int = 0


@dataclass
class Stream:
    """One request and what came of it."""

    long: bool
    leaves_after: int | None = None
    """The chunk after which the client closes the connection."""
    sent: float = 0.0
    times: list[float] = field(default_factory=list)
    """When each chunk with text arrived."""
    tokens: int | None = None
    """Answer tokens as the server counts them."""
    prompt_tokens: int = 0
    end: str = "open"
    """done, left, open at the end of the measurement, or the error."""

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return self.end not in ("done", "left", "open")


@dataclass(frozen=True)
class Measured:
    """All streams of a load, and the time that it took."""

    load: Load
    streams: Sequence[Stream]
    start: float
    end: float
    client_seconds: float
    """Processor time of the clients."""
    idle_open: int = 0
    """Idle connections that were still open at the end."""
    watched: Sequence[dict[str, float]] = ()
    """One reading of the server for each second."""


async def measured(load: Load, watch: Callable[[], dict[str, float]] | None = None) -> Measured:
    """Run the clients for the load's time; `watch` reads the server every second."""
    words = load.words or await words_per_token(load)
    streams: list[Stream] = []
    idle = [await idle_connection(load) for _ in range(load.idle)]
    start, spent = time.perf_counter(), time.process_time()
    readings: list[dict[str, float]] = []
    tasks = [
        asyncio.create_task(_client(load, number, words, streams)) for number in range(load.clients)
    ]
    if load.long_every:
        tasks.append(asyncio.create_task(_long_prompts(load, words, streams)))
    if watch is not None:
        tasks.append(asyncio.create_task(_watched(watch, start, readings)))
    await asyncio.sleep(load.seconds)
    end = time.perf_counter()
    spent = time.process_time() - spent
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    still = sum(not reader.at_eof() for reader, _ in idle)
    for _, writer in idle:
        writer.close()
    broken = [one for one in ended if isinstance(one, Exception)]
    if broken:
        raise broken[0]
    return Measured(load, streams, start, end, spent, still, readings)


async def _client(load: Load, number: int, words: float, streams: list[Stream]) -> None:
    """Ask one question after the other."""
    rng = random.Random(f"{load.seed} {number}")
    leaving = number < load.leaving * load.clients
    while True:
        stream = Stream(False, rng.randint(1, load.max_tokens) if leaving else None)
        streams.append(stream)
        await _fill(stream, load, request_body(load, rng, words * load.prompt_tokens))
        if stream.failed:
            await asyncio.sleep(0.2)


async def _long_prompts(load: Load, words: float, streams: list[Stream]) -> None:
    """Send a long prompt in each interval, whether the last one is answered or not."""
    rng, open_tasks = random.Random(f"{load.seed} long"), set[asyncio.Task[None]]()
    try:
        while True:
            await asyncio.sleep(load.long_every)
            stream = Stream(True)
            streams.append(stream)
            body = request_body(load, rng, words * load.long_tokens, max_tokens=8)
            open_tasks.add(asyncio.create_task(_fill(stream, load, body)))
    finally:
        for task in open_tasks:
            task.cancel()


async def _watched(
    watch: Callable[[], dict[str, float]], start: float, readings: list[dict[str, float]]
) -> None:
    while True:
        found = await asyncio.to_thread(watch)
        readings.append({"at": time.perf_counter() - start, **found})
        await asyncio.sleep(1)


def request_body(
    load: Load, rng: random.Random, words: float, max_tokens: int | None = None
) -> dict[str, Any]:
    """A body with a prompt of random words, which no prefix cache holds."""
    text = " ".join(rng.choices(WORDS, k=max(1, round(words))))
    asked = f"{rng.getrandbits(40):x} {text}. Continue this list of words."
    prompt = (
        {"prompt": asked}
        if load.completions
        else {"messages": [{"role": "user", "content": asked}]}
    )
    return {
        "model": load.model,
        **prompt,
        "max_tokens": max_tokens or load.max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **load.extra,
    }


async def words_per_token(load: Load) -> float:
    """Words of a prompt for each of its tokens, by two short requests."""
    counted = []
    for words in (50, 250):
        stream = Stream(False)
        body = request_body(load, random.Random(words), words, max_tokens=2)
        await _fill(stream, load, body)
        if stream.end != "done":
            raise RuntimeError(f"{load.base} cannot be measured: {stream.end}")
        counted.append(stream.prompt_tokens)
    return 200 / max(1, counted[1] - counted[0]) if counted[1] else 0.75


async def _fill(stream: Stream, load: Load, body: dict[str, Any]) -> None:
    """Send the request, and note what arrives."""
    stream.sent = time.perf_counter()
    writer = None
    try:
        reader, writer = await _connected(load, body)
        status = await _status(reader)
        if status != 200:
            stream.end = f"HTTP {status}"
            return
        stream.end = await _read(stream, reader)
    except (OSError, EOFError, ValueError) as error:
        stream.end = f"{type(error).__name__}: {error}"[:100]
    finally:
        if writer is not None:
            writer.transport.abort() if stream.end in ("left", "open") else writer.close()


async def _connected(
    load: Load, body: dict[str, Any]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(load.base)
    path = f"{parts.path}/{'completions' if load.completions else 'chat/completions'}"
    data = json.dumps(body).encode()
    key = f"Authorization: Bearer {load.key}\r\n" if load.key else ""
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=_LINE)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n{key}Content-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode()
        + data
    )
    await writer.drain()
    return reader, writer


async def _status(reader: asyncio.StreamReader) -> int:
    """The status of a reply; its headers are read too."""
    first = (await reader.readline()).split()
    if not first:
        raise EOFError("no reply")
    if len(first) < 2 or not first[0].startswith(b"HTTP/"):
        raise ValueError("no HTTP")
    while (await reader.readline()).strip():
        pass
    return int(first[1])


async def _read(stream: Stream, reader: asyncio.StreamReader) -> str:
    """Read the events of a stream, and return how it ended."""
    async for data in _events(reader):
        if data == b"[DONE]":
            # A server that gives up on a stream may end it in order, with nothing in it.
            return "done" if stream.times or stream.tokens is not None else "no text"
        event = json.loads(data)
        if "error" in event:
            return f"error: {event['error']}"[:100]
        if usage := event.get("usage"):
            stream.tokens = usage["completion_tokens"]
            stream.prompt_tokens = usage["prompt_tokens"]
        if event.get("choices") and _text(event["choices"][0]):
            stream.times.append(time.perf_counter())
            if len(stream.times) == stream.leaves_after:
                return "left"
    raise EOFError("the stream was cut off")


async def _events(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The data of each server-sent event, out of a chunked body."""
    pending = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        pending += (await reader.readexactly(size + 2))[:-2]
        *lines, pending = pending.split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()


def _text(choice: dict[str, Any]) -> str:
    delta = choice.get("delta") or {}
    return (
        choice.get("text")
        or delta.get("content")
        or delta.get("reasoning")
        or delta.get("reasoning_content")
        or ""
    )


async def idle_connection(load: Load) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that asks for `idle_path`, and is then left open."""
    parts = urlsplit(load.base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {load.idle_path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


def summary(found: Measured) -> dict[str, Any]:
    """The figures of a measurement, as plain JSON values; times are in seconds."""
    short = [one for one in found.streams if not one.long]
    long = [one for one in found.streams if one.long]
    whole = [one for one in short if one.end == "done" and one.tokens is not None]
    chunks = sum(len(one.times) for one in whole)
    # A chunk may hold several tokens, and a stream that is cut has no usage.
    each = sum(one.tokens or 0 for one in whole) / chunks if chunks else 1.0
    seconds = found.end - found.start
    tokens = each * sum(len(one.times) for one in found.streams)
    prefills = [(one.sent, one.times[0] if one.times else found.end) for one in long]
    gaps = [gap for one in short for gap in _gaps(one)]
    beside = [gap for gap in gaps if any(a <= gap[0] <= b for a, b in prefills)]
    return {
        "requests": len(found.streams),
        "ended": dict(Counter(one.end for one in found.streams if not one.failed)),
        "errors": dict(Counter(one.end for one in found.streams if one.failed)),
        "tokens": round(tokens),
        "tokens_per_chunk": each,
        "tokens_per_second": tokens / seconds,
        "first_token": _spread([one.times[0] - one.sent for one in short if one.times]),
        "inter_token": _spread([gap for _, gap in gaps]),
        "inter_token_beside_long_prompts": _spread([gap for _, gap in beside]),
        "prompt_tokens": _median([one.prompt_tokens for one in whole]),
        "long_prompts": len(long),
        "long_prompt_tokens": _median([one.prompt_tokens for one in long if one.prompt_tokens]),
        "long_first_token": _spread([one.times[0] - one.sent for one in long if one.times]),
        "idle_open": found.idle_open,
        "client_cores": found.client_seconds / seconds,
        "watched": list(found.watched),
    }


def _gaps(stream: Stream) -> list[tuple[float, float]]:
    """The time of each chunk after the first, and the seconds since the one before."""
    pairs = zip(stream.times, stream.times[1:], strict=False)
    return [(after, after - before) for before, after in pairs]


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "median": statistics.median(ordered),
        "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "max": ordered[-1],
    }


def _median(values: Sequence[int]) -> float:
    return statistics.median(values) if values else 0
