"""The load generator against the real server, and against replies cut at any byte."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from benchmarks.serving_load import Load, Stream, measured, summary

from tests.server.served import MODELS, Served

LOAD = Load("", "tiny", clients=6, seconds=1.5, max_tokens=12, prompt_tokens=20, words=0.2)


@pytest.fixture(scope="module")
def server():
    with Served(MODELS) as served:
        yield served


def loaded(server, **changes):
    return asyncio.run(measured(replace(LOAD, base=f"{server.url}/v1", **changes)))


def test_every_stream_is_counted(server):
    found = loaded(server, extra={"ignore_eos": True})

    told = summary(found)
    whole = [one for one in found.streams if one.end == "done"]
    assert told["errors"] == {}
    assert len(whole) > LOAD.clients
    assert {one.tokens for one in whole} == {LOAD.max_tokens}
    assert all(one.prompt_tokens > 0 and 1 <= len(one.times) <= 12 for one in whole)
    assert sum(told["ended"].values()) == told["requests"] == len(found.streams)
    assert told["ended"]["open"] <= LOAD.clients
    assert told["tokens"] >= LOAD.max_tokens * len(whole)


@pytest.mark.slow
def test_prompts_have_the_length_that_was_asked_for(server):
    found = loaded(server, words=0.0, prompt_tokens=200)

    lengths = [one.prompt_tokens for one in found.streams if one.end == "done"]
    assert lengths
    assert all(150 < length < 350 for length in lengths)


@pytest.mark.slow
def test_some_clients_leave_and_long_prompts_arrive(server):
    found = loaded(server, leaving=0.5, long_every=0.3, long_tokens=300, idle=20)

    told = summary(found)
    left = [one for one in found.streams if one.end == "left"]
    assert left
    assert all(len(one.times) == one.leaves_after for one in left)
    assert told["errors"] == {}
    assert told["long_prompts"] >= 3
    assert told["long_prompt_tokens"] > told["prompt_tokens"]
    assert told["idle_open"] == 20


def test_refused_requests_are_errors(server):
    told = summary(loaded(server, model="nobody", seconds=0.5))

    assert told["ended"].keys() <= {"open"}
    assert told["errors"].keys() == {"HTTP 404"}
    with pytest.raises(RuntimeError, match="HTTP 404"):
        loaded(server, model="nobody", words=0.0)


def reply(events, step):
    """A chunked reply, with chunks of `step` bytes that respect no line."""
    body = b"".join(b"data: " + one + b"\r\n\r\n" for one in events)
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks


async def answered(answer):
    """What one client makes of an answer."""

    serving = set()

    async def serve(reader, writer):
        serving.add(asyncio.current_task())
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        load = replace(LOAD, base=f"http://127.0.0.1:{port}/v1", clients=1, seconds=0.3)
        found = (await measured(load)).streams[0]
    await asyncio.gather(*serving)  # the last client left in the middle of its request
    return found


def delta(text):
    return json.dumps({"choices": [{"delta": {"content": text}}]}).encode()


USAGE = b'{"choices": [], "usage": {"completion_tokens": 5, "prompt_tokens": 7}}'


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_chunks_need_not_end_with_a_line(step):
    events = [delta(""), delta("é"), delta("data: x"), USAGE, b"[DONE]"]

    found = asyncio.run(answered(reply(events, step) + b"0\r\n\r\n"))

    assert (found.end, len(found.times), found.tokens, found.prompt_tokens) == ("done", 2, 5, 7)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (reply([delta("a")], 9), "EOFError: the stream was cut off"),
        (reply([delta("a")], 9) + b"0\r\n\r\n", "EOFError: the stream was cut off"),
        (reply([b'{"error": "no memory"}'], 9), "error: no memory"),
        (b"HTTP/1.1 429 Too Many Requests\r\n\r\n", "HTTP 429"),
        (reply([delta(""), b"[DONE]"], 9), "no text"),
        (b"", "EOFError: no reply"),
        (b"what?\r\n\r\n", "ValueError: no HTTP"),
    ],
)
def test_a_stream_that_does_not_end_well_is_an_error(answer, end):
    found = asyncio.run(answered(answer))

    assert isinstance(found, Stream)
    assert found.failed
    assert found.end.startswith(end)
