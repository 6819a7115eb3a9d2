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


@pytest.fixture(scope="module")
def _toy() -> Iterator[Toy]:
    command = [sys.executable, "-m", "tests.backends.openai.openai_server"]
    root = Path(__file__).parents[3]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True) as server:
        yield Toy(f"http://127.0.0.1:{server.stdout.readline().strip()}")
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
