"""A server of the OpenAI kind for the tests that need one."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint
from forethought.backends.openai.protocol import CompletionParams
from tests.backends.openai.remote_asks import PRICES


@dataclass
class Toy:
    """The server, as tests set it up."""

    base: str
    slept: list[float] = field(default_factory=list)
    """What back ends that were made here would have waited."""

    def set(self, *faults, **settings):
        """Begin anew, with these abilities and faults."""
        self.slept.clear()
        self._asked({"faults": faults, "settings": settings})

    def told(self):
        """What the server was asked, and what it wrote."""
        return self._asked(None)

    def remote(self, model="", **changes):
        """A back end for it that sleeps in no time."""

        async def sleep(seconds):
            self.slept.append(seconds)

        settings = {"key": "", "sleep": sleep, "rng": random.Random(0)}
        settings |= {"params": CompletionParams(temperature=1.0), **changes}
        return OpenAIBackend(Endpoint.parse(f"{self.base}/v1#{model}"), **settings)

    def _asked(self, document):
        data = None if document is None else json.dumps(document).encode()
        with urlopen(Request(f"{self.base}/control", data), timeout=10) as answer:
            return json.loads(answer.read())


@dataclass
class Mortal(Toy):
    """A toy that can be killed and started again at its port."""

    process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> str:
        """The port in its address."""
        return self.base.rpartition(":")[2]

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.process.kill()
        self.end()

    def start(self) -> None:
        """Start it at its port, with its abilities at their defaults."""
        self.process, _ = started(self.port)

    def end(self) -> None:
        """End it, if it runs."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait(10)
            self.process.stdout.close()
        self.process = None


def started(port: str = "0") -> tuple[subprocess.Popen[str], str]:
    """A server's process, and its port."""
    command = [sys.executable, "-m", "tests.backends.openai.openai_server", port]
    root, pipe = Path(__file__).parents[3], subprocess.PIPE
    process = subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True)
    return process, process.stdout.readline().strip()


@pytest.fixture(scope="module")
def _mortals() -> Iterator[list[Mortal]]:
    found = []
    for _ in range(2):
        process, port = started()
        found.append(Mortal(f"http://127.0.0.1:{port}", process=process))
    yield found
    for one in found:
        one.end()


@pytest.fixture
def mortals(_mortals: list[Mortal]) -> list[Mortal]:
    """Two servers that tests may kill, at their defaults."""
    for one in _mortals:
        if one.process is None:
            one.start()
        one.set()
    return _mortals


@pytest.fixture(scope="module")
def _toy() -> Iterator[Toy]:
    process, port = started()
    with process as server:
        yield Toy(f"http://127.0.0.1:{port}")
        server.stdin.close()
        server.wait(10)


@pytest.fixture
def toy(_toy: Toy) -> Toy:
    """The server, at its defaults."""
    _toy.set()
    return _toy


@pytest.fixture(scope="module")
def capabilities(_toy):
    """What the server does at its defaults, found out once."""
    _toy.set()
    with _toy.remote("toy") as remote:
        assert remote.capabilities.continues
        return remote.capabilities


@pytest.fixture
def remote(capabilities, toy):
    """A back end that knows what its server does."""
    with toy.remote("toy", prices=PRICES, known_capabilities=capabilities) as found:
        yield found
