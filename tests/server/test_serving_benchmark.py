"""The serving benchmark as a command: servers in turn, and command lines that it refuses."""

from __future__ import annotations

import csv
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.tiny_folder import write_tiny_model
from tests.server.test_server_process import free_port

ROOT = Path(__file__).parents[2]


def benchmark(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "serving.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a=http://127.0.0.1:1/v1#m", "--start", "b=true"], "--start b: NAME=COMMAND"),
        (["a=http://127.0.0.1:1/v1#m", "--start", "a"], "--start a: NAME=COMMAND"),
        (["a=http://127.0.0.1:1/v1#m", "a=http://127.0.0.1:2/v1#m"], "name of its own"),
        (["a=http://127.0.0.1:1/v1#m", "--start", "a=true", "--pid", "1"], "--pid"),
        (["a=http://127.0.0.1:1/v1#m", "--rounds", "0"], "--rounds 0"),
    ],
)
def test_a_command_line_that_names_no_measurement_is_refused(arguments, message):
    ended = benchmark(*arguments)

    assert ended.returncode == 2
    assert message in ended.stderr


@pytest.mark.slow
def test_servers_take_turns_and_a_failure_keeps_what_was_measured(tmp_path):
    model, ports, saved = tmp_path / "tiny", [free_port(), free_port()], tmp_path / "all.json"
    write_tiny_model(model)
    one, two = (
        shlex.join([
            *(sys.executable, "-m", "forethought", "serve", "-m", str(model)),
            *("--port", str(port), "--threads", "1", "-q"),
        ])
        for port in ports
    )  # fmt: skip
    once = f"mkdir {shlex.quote(str(tmp_path / 'started'))} || exit 7; exec {two}"
    servers = {"one": one, "two": shlex.join(["sh", "-c", once])}

    ended = benchmark(
        *(f"{name}=http://127.0.0.1:{ports[name == 'two']}/v1#tiny" for name in servers),
        *(part for name in servers for part in ("--start", f"{name}={servers[name]}")),
        *("--clients", "3", "--seconds", "3", "--alone", "1", "--max-tokens", "8"),
        *("--rounds", "2", "--metric", "forethought:prefix_cache_bytes", "--save", str(saved)),
        FORETHOUGHT_CACHE=str(tmp_path / "cache"),
        TMPDIR=str(tmp_path),
    )

    documents = json.loads(saved.read_text())
    readings = list(csv.DictReader(saved.with_suffix(".csv").read_text().splitlines()))
    assert ended.returncode == 1
    assert "error: the server ended with 7" in ended.stderr
    assert "File exists" in ended.stderr
    assert [(one["server"], one["round"], one["errors"]) for one in documents] == [
        ("one", 1, {}),
        ("two", 1, {}),
        ("one", 2, {}),
    ]
    assert all(one["tokens"] > 0 and one["alone"]["tokens"] > 0 for one in documents)
    assert len({one["load"]["seed"] for one in documents}) == 2
    assert len({one["load"]["words"] for one in documents}) == 1
    assert "| two / one |" in ended.stderr
    assert "| resident MiB - forethought:prefix_cache MiB |" in ended.stderr
    assert {one["server"] for one in readings} == {"one", "two"}
    assert all(float(one["resident_bytes"]) > 50e6 for one in readings)
