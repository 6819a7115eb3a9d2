"""Two servers behind vllm-router: the same answers, spread, and none lost with a server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest
from benchmarks.serving_load import Load, measured, summary

from tests.cli.tiny_folder import write_tiny_model

router = pytest.importorskip("vllm_router")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
QUESTION = {"model": "tiny", "max_tokens": 8, "temperature": 1.0, "top_p": 0.9}
HEALTH_SECONDS = 5
"""Longer than the router's interval of health checks and a refused connection."""
RECIPES = ["tiny", "tiny+snapkv(keep=64)", "tiny@majority-vote(n=3)"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Running:
    """A process that serves HTTP."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def wait_for(self, path: str) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process.poll() is None, "it ended"
            try:
                if httpx.get(self.url + path, timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:  # it does not listen yet
                pass
            time.sleep(0.2)
        raise TimeoutError(self.url)

    def tokens(self) -> float:
        """Tokens that a server has decoded."""
        lines = httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("vllm:generation_tokens_total")
        )

    def running(self) -> float:
        """Requests that a server runs now."""
        lines = httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        names = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(names))


def started(command: list[str], port: int, environment: dict[str, str]) -> Running:
    """A process that logs to a file beside its cache."""
    file = Path(environment["FORETHOUGHT_CACHE"]) / f"{port}.log"
    with file.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    return Running(process, f"http://127.0.0.1:{port}", file)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache = tmp_path_factory.mktemp("cache")
    return {**os.environ, "FORETHOUGHT_CACHE": str(cache), "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def servers(model, environment) -> Iterator[list[Running]]:
    found = []
    for port in (free_port(), free_port()):
        # In bf16 a prefix hit may move a sample, and one of the servers has seen these prompts.
        command = [
            *(sys.executable, "-m", "forethought", "serve", "-m", str(model)),
            *("--port", str(port), "--threads", "1", "--prefix-cache", "0B"),
        ]
        found.append(started(command, port, environment))
    try:
        for one in found:
            one.wait_for("/ready")
        yield found
    finally:
        for one in found:
            one.process.kill()
            one.process.wait()


@pytest.fixture(params=["round_robin", "cache_aware", "power_of_two"])
def routed(request, servers, environment) -> Iterator[Running]:
    port = free_port()
    command = [
        *(sys.executable, "-m", "vllm_router.launch_router", "--port", str(port)),
        *("--worker-urls", *(one.url for one in servers), "--policy", request.param),
        *("--prometheus-port", str(free_port()), "--worker-startup-check-interval", "1"),
        *("--health-check-endpoint", "/ready", "--health-check-interval-secs", "1"),
        *("--health-failure-threshold", "1"),
    ]
    found = started(command, port, environment)
    try:
        found.wait_for("/health")
        yield found
    finally:
        found.process.kill()
        found.process.wait()


def answer(url: str, number: int) -> str:
    """A sampled answer, which depends on its seed alone."""
    body = {**QUESTION, "model": RECIPES[number % 3], "seed": number}
    # No common beginning, by which cache_aware would choose one server for all.
    asked = f"{f'{number:03}' * 12} is a number. Which one follows?"
    body["messages"] = [{"role": "user", "content": asked}]
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=100)
    assert reply.status_code == 200, reply.text + url
    return reply.json()["choices"][0]["message"]["content"]


def answers(url: str, count: int = 24) -> list[str]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: answer(url, number), range(count)))


def test_answers_are_those_of_one_server_and_both_write(servers, routed):
    expected = answers(servers[0].url)
    before = [one.tokens() for one in servers]

    found = answers(routed.url)

    assert found == expected
    assert all(one.tokens() > start for one, start in zip(servers, before, strict=True))


def test_a_server_that_is_killed_gets_no_request_after_its_health_check(servers, routed):
    expected = answers(servers[0].url, 12)
    answers(routed.url, 4)

    os.kill(servers[1].process.pid, signal.SIGKILL)
    servers[1].process.wait()
    time.sleep(HEALTH_SECONDS)

    assert answers(routed.url, 12) == expected


def test_streams_arrive_and_those_that_leave_are_cancelled(servers, routed):
    load = Load(
        f"{routed.url}/v1", "tiny", clients=8, seconds=4, max_tokens=40, prompt_tokens=20,
        words=0.3, leaving=0.5, extra={"ignore_eos": True},
    )  # fmt: skip

    found = asyncio.run(measured(load))

    told = summary(found)
    assert told["errors"] == {}
    assert told["ended"]["left"] > 0
    whole = [one for one in found.streams if one.end == "done"]
    assert whole
    assert {one.tokens for one in whole} == {40}
    assert all(len(one.times) > 1 for one in whole)
    end = time.monotonic() + 10
    while time.monotonic() < end and any(one.running() for one in servers):
        time.sleep(0.1)
    assert [one.running() for one in servers] == [0, 0]
