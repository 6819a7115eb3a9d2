"""A real server in a thread: the real engine over tiny models, behind uvicorn on loopback."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from pathlib import Path

import httpx2 as httpx
from openai import OpenAI

from forethought.recipes.recipe import Recipe
from forethought.server.listening import address, bound_socket
from forethought.server.running import ModelServer
from forethought.server.settings import ServerSettings
from tests.tiny_model import tiny_model

MODELS = {
    "tiny": tiny_model("tiny", seed=1),
    "small": tiny_model("small", seed=2, num_hidden_layers=2),
}
RECIPE = Recipe(model="tiny", draft="small")
QUESTION = [{"role": "user", "content": "What is the code of locker 4?"}]


class Served:
    """A running server and its address."""

    def __init__(self, models, **changes):
        self.settings = ServerSettings(**{"recipe": RECIPE, "models": ("small",), **changes})
        self._folder = tempfile.TemporaryDirectory()
        log = Path(self._folder.name) / "runs.sqlite"
        self.server = ModelServer(self.settings, lambda name, weights: models[name], log)
        self._listening = bound_socket("127.0.0.1", 0)
        self.url = address(self._listening)
        self.http = httpx.Client(base_url=self.url, timeout=60)
        self._ready = threading.Event()
        arguments = self._listening, self._ready.set
        self._thread = threading.Thread(target=self.server.run, args=arguments, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_):
        self.http.close()
        self.server.stop()
        self._thread.join()
        self._listening.close()
        self._folder.cleanup()

    @property
    def session(self):
        """The session of this machine's models."""
        return self.server.engine.local.session

    @property
    def place(self):
        """Host and port."""
        return self._listening.getsockname()

    def post(self, path, body=None, **more):
        """The reply to a JSON body."""
        return self.http.post(path, **({"json": body} if body else {}), **more)

    def get(self, path, **more):
        """The reply to a GET."""
        return self.http.get(path, **more)

    def client(self, **more):
        """The official client."""
        return OpenAI(**{"base_url": f"{self.url}/v1", "api_key": "none", "max_retries": 0, **more})

    def chat(self, **fields):
        """The document of a chat answer; greedy and short unless told otherwise."""
        body = {"model": "tiny", "messages": QUESTION, "max_tokens": 8, "temperature": 0, **fields}
        return self.post("/v1/chat/completions", body)

    def complete(self, **fields):
        """The document of a completion; greedy and short unless told otherwise."""
        body = {"model": "tiny", "prompt": "abc", "max_tokens": 8, "temperature": 0, **fields}
        return self.post("/v1/completions", body)


def serving(models=MODELS, **changes):
    """A server with these settings, started in a thread."""
    return Served(models, **changes)


def data_lines(text):
    """The documents of a stream; the last line must be [DONE]."""
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def error_of(reply, status=400):
    """The error of a reply, which must have the shape of OpenAI's API."""
    assert reply.status_code == status, reply.text
    (error,) = reply.json().values()
    assert error.keys() - {"hint"} == {"message", "type", "param", "code"}
    assert "Traceback" not in reply.text
    return error


def until(holds, seconds=20):
    """Wait for a condition."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "the condition does not come true"
        time.sleep(0.005)
