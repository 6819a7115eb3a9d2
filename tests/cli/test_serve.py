"""`forethought serve` as a process: its address, its errors, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from forethought.cli import serve
from forethought.cli.grammar import Given, parse
from forethought.cli.verbs import table
from forethought.contracts.errors import UsageError
from forethought.models.compiled.build import SWITCH
from tests.cli.tiny_folder import write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The line for curl states no greatest length: answers end with the context.
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", context=200)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    place = tmp_path_factory.mktemp("home")
    return {
        **os.environ,
        "FORETHOUGHT_CACHE": str(place / "cache"),
        "FORETHOUGHT_RESULTS": str(place / "results.sqlite"),
        "XDG_CACHE_HOME": str(place / "cache"),
        SWITCH: "0",  # in a fresh cache each process would compile kernels
    }


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "forethought", "serve", *words]


@contextmanager
def running(
    environment: dict[str, str], *words: str
) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A server, its address, and what it has printed so far."""
    process = subprocess.Popen(
        command("--port", "0", *words), env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        told = [process.stderr.readline()]
        while "curl " not in told[-1]:
            assert told[-1], told
            told.append(process.stderr.readline())
        found = re.search(r"http://\S+?:\d+", "".join(told))
        assert found, told
        yield process, found[0], told
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_a_server_answers_prints_its_address_and_ends_cleanly(
    model: Path, environment: dict[str, str]
) -> None:
    with running(environment, "-m", str(model)) as (process, url, told):
        body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
        found = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
        listed = httpx.get(f"{url}/v1/models").json()["data"]
        page = httpx.get(url)
        line = next(one for one in told if one.startswith("curl "))
        shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
        assert process.stderr is not None
        rest = process.stderr.read()

    assert found.json()["usage"]["completion_tokens"] <= 2
    assert [one["id"] for one in listed] == ["tiny"]
    assert page.headers["content-type"].startswith("text/html")
    assert json.loads(shown.stdout)["object"] == "chat.completion"
    assert (code, rest) == (0, "stopped\n")
    assert str(model) not in found.text


def test_running_streams_get_time_to_end(model: Path, environment: dict[str, str]) -> None:
    with running(environment, "-m", str(model)) as (process, url, _):
        body = {"prompt": "x", "max_tokens": 60, "ignore_eos": True, "stream": True, "seed": 1}
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as reply:
            lines = reply.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]
        process.wait(30)

    assert rest[-1] == "data: [DONE]"


def test_a_key_of_the_environment_protects_the_server(
    model: Path, environment: dict[str, str]
) -> None:
    keyed = {**environment, "FORETHOUGHT_SERVE_KEY": "a-key"}
    with running(keyed, "-m", str(model), "--host", "0.0.0.0") as (_, url, told):
        url = url.replace("0.0.0.0", "127.0.0.1")
        without = httpx.get(f"{url}/v1/models")
        with_key = httpx.get(f"{url}/v1/models", headers={"Authorization": "Bearer a-key"})

    assert (without.status_code, with_key.status_code) == (401, 200)
    assert "a-key" not in "".join(told)
    assert "$FORETHOUGHT_SERVE_KEY" in "".join(told)


def test_the_printed_line_works_with_a_file_of_keys(
    model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    keys = tmp_path / "my keys"
    keys.write_text("\n  first-key \nsecond-key\n")
    with running(environment, "-m", str(model), "--api-key-file", str(keys)) as (_, url, told):
        line = next(one for one in told if one.startswith("curl "))
        shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
        without = httpx.get(f"{url}/v1/models")

    assert json.loads(shown.stdout)["object"] == "chat.completion"
    assert without.status_code == 401
    assert "first-key" not in line


def given(*words: str) -> Given:
    return parse(table("serve"), list(words))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--allow", "nosuch"], "no encoder, judge or plan is called 'nosuch'"),
        (["--allow", "no/such/file"], "no encoder, judge or plan is called 'no/such/file'"),
        (["-s", "best-of-n"], "ranks candidates by a scorer, and none is named"),
        (["-s", "cascade"], "asks a smaller model first, and none is named"),
        (["-x", "prompt-lookup", "-x", "own-layers"], "two methods of one recipe draft its answer"),
        (["-x", "snapkv", "-x", "truncate"], "snapkv drops cache entries, but stands before"),
        (["-s", "majority-vote", "--budget", "$1"], "a model that runs here has no price"),
        (["-m", "http://127.0.0.1:9/v1#x", "-x", "snapkv"], "runs on a server"),
    ],
)
def test_a_recipe_that_no_request_could_run_is_refused_at_start(
    words: list[str], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        serve.run(given(*words))


def failed(environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        command(*words), env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def test_wrong_usage_is_told_without_a_traceback(
    model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    empty = tmp_path / "keys"
    empty.write_text("\n \n")
    odd = tmp_path / "odd"
    odd.write_text("kéy\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert "cannot be used" in failed(environment, "-m", str(model), "--port", port)
    assert "no key" in failed(environment, "-m", str(model), "--host", "0.0.0.0")
    assert "holds no key" in failed(environment, "--api-key-file", str(empty))
    assert "ASCII" in failed(environment, "--api-key-file", str(odd))
    assert "cannot be read" in failed(environment, "--api-key-file", str(tmp_path / "none"))
    assert "--prefix-cache" in failed(environment, "--prefix-cache", "lots")


def test_a_model_that_is_missing_ends_the_server(
    environment: dict[str, str], tmp_path: Path
) -> None:
    told = failed(environment, "-m", str(tmp_path / "none.gguf"), "--port", "0")

    assert told.startswith("error: ")


def test_a_missing_extra_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "_NEEDED", ("fastapi", "a_package_that_nobody_has"))
    given = parse(table("serve"), [])
    assert given is not None

    with pytest.raises(UsageError, match="a_package_that_nobody_has") as caught:
        serve.run(given)

    assert caught.value.hint == 'pip install ".[serve]" in a checkout'


def test_models_after_the_first_name_no_methods() -> None:
    given = parse(table("serve"), ["-m", "smollm2+specpc", "-m", "other+snapkv"])
    assert given is not None

    with pytest.raises(UsageError, match="names methods"):
        serve._recipes(given)


def test_the_first_model_is_the_default_recipe() -> None:
    words = ["-m", "big+snapkv", "-m", "other", "-m", "a+draft(b)", "-x", "quantised-kv", "-d", "d"]
    given = parse(table("serve"), words)
    assert given is not None

    recipe, models = serve._recipes(given)

    assert recipe.spelling == "big+draft(d)+snapkv+quantised-kv"
    assert models == ("other", "a", "b")


def test_methods_that_conflict_are_refused_before_the_server_starts() -> None:
    given = parse(table("serve"), ["-m", "smollm2", "-x", "prompt-lookup", "-x", "own-layers"])

    with pytest.raises(UsageError, match="two methods of one recipe draft its answer"):
        serve.run(given)
