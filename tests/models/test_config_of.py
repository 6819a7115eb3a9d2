"""Where the sizes of a model come from: the table, a folder, the cache, and a hub's one file."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from forethought.contracts.errors import UnknownNameError
from forethought.models.config_of import config_of, local_config
from forethought.models.known_configs import known_config, known_names
from forethought.models.sources import model_cache

CONFIG = {
    "model_type": "llama", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}  # fmt: skip
BODY = json.dumps(CONFIG).encode()
ASK = """
import time
time.sleep = lambda seconds: None  # between the attempts of the hub's client, half a minute in all
from forethought.contracts.errors import DownloadError
from forethought.models.config_of import config_of
try:
    print(config_of("someone/some-model").hidden)
except DownloadError as error:
    print(error.message, error.hint, sep="\\n")
"""


class Hub(BaseHTTPRequestHandler):
    """Serves the config.json of any model, and notes what was asked for."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(BODY)

    def _answer(self, body: bytes) -> None:
        self.asked.append(self.path)
        self.send_response(200 if self.path.endswith("/config.json") else 404)
        self.send_header("Content-Length", str(len(BODY)))
        self.send_header("ETag", f'"{hashlib.sha256(BODY).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub() -> Iterator[ThreadingHTTPServer]:
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def told(tmp_path: Path, endpoint: str) -> list[str]:
    places = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "FORETHOUGHT_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_of_a_hub_only_the_configuration_is_fetched(
    tmp_path: Path, hub: ThreadingHTTPServer
) -> None:
    said = told(tmp_path, f"http://127.0.0.1:{hub.server_port}")

    assert said == ["32"]
    # The client library asks the hub for other things than models, too.
    fetched = {path for path in Hub.asked if "someone" in path}
    assert {path.rpartition("/")[2] for path in fetched} == {"config.json"}


def test_an_unreachable_hub_is_explained(tmp_path: Path) -> None:
    said = told(tmp_path, "http://127.0.0.1:9")

    assert "someone/some-model" in said[0]
    assert "network" in said[1]


def test_names_of_the_table_and_hub_ids_are_the_same_model() -> None:
    assert config_of("Qwen/Qwen2.5-1.5B") == config_of("qwen2.5-1.5b")
    assert all(config_of(name).layers > 0 for name in known_names())
    assert known_config("nobody/nothing") is None


def test_converted_models_of_the_cache_are_known(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path))
    folder = model_cache.place_of("someone--converted")
    folder.mkdir(parents=True)
    held = config_of("smollm2")
    (folder / model_cache.CONFIG).write_text(held.to_json())

    assert local_config("someone/converted") == held
    assert local_config("someone/other") is None


def test_a_name_that_is_nowhere_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path))
    with pytest.raises(UnknownNameError, match=r"'qwen2\.5-1\.6b'") as error:
        config_of("qwen2.5-1.6b")
    assert "qwen2.5-1.5b" in error.value.hint
