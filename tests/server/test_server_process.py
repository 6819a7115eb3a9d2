"""Servers that the serving benchmark starts: ready when it goes on, and gone when it has ended."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
from urllib.request import urlopen

import pytest
from benchmarks import server_process
from benchmarks.server_process import process_bytes, started, status

SERVER = """
import http.server, os, sys

asked, held = {}, []

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked[self.path] = asked.get(self.path, 0) + 1
        if self.path == "/grow":
            held.append(b"x" * (64 << 20))
        late = self.path == "/ready" and asked["/ready"] <= 2
        body = str(os.getpid()).encode()
        self.send_response(503 if late else 404 if self.path == "/none" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(autouse=True)
def _logs(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def address():
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def command(tmp_path, address):
    """The command of a server that is healthy at once, and ready at the third request for it."""
    file = tmp_path / "a server.py"
    file.write_text(SERVER)
    return shlex.join([sys.executable, "-S", str(file), address.rpartition(":")[2]])


def alive(pid):
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_of(address):
    with urlopen(f"{address}/", timeout=5) as reply:
        return int(reply.read())


def test_a_started_server_is_ready_and_ends_with_the_block(command, address):
    with started("mine", command, address) as server:
        assert status(f"{address}/ready") == 200
        assert pid_of(address) == server.process.pid
        server.check_alive()

    assert server.process.returncode == -15
    assert status(f"{address}/health") == 0


def test_the_memory_of_all_its_processes_counts_and_none_is_left(command, address):
    with started("mine", shlex.join(["sh", "-c", f"{command} & wait"]), address) as server:
        child = pid_of(address)
        before = server.resident_bytes()
        urlopen(f"{address}/grow", timeout=5).close()
        after = server.resident_bytes()
        shell = process_bytes(server.process.pid)

    assert child != server.process.pid
    assert before > 2 * shell
    assert 60 << 20 < after - before < 80 << 20
    assert not alive(child)


def test_a_server_that_ignores_sigterm_is_killed(command, address, monkeypatch):
    monkeypatch.setattr(server_process, "STOP_SECONDS", 0.1)
    stubborn = shlex.join(["sh", "-c", f"trap '' TERM; {command}; true"])

    with started("mine", stubborn, address) as server:
        child = pid_of(address)

    assert server.process.returncode == -9
    assert not alive(child)


def test_an_error_in_the_block_stops_the_server_too(command, address):
    with pytest.raises(KeyError), started("mine", command, address) as server:
        raise KeyError

    assert server.process.returncode == -15


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("sh -c 'echo no memory; exit 3'", "ended with 3(.|\n)*no memory"),
        ("no-such-program --port 1", "mine cannot be started"),
        ("sh -c 'unclosed", "mine cannot be started: No closing quotation"),
    ],
)
def test_a_command_that_fails_is_an_error_with_its_output(wrong, message, address):
    with pytest.raises(RuntimeError, match=message), started("mine", wrong, address):
        pass


def test_a_server_that_ends_during_the_measurement_is_an_error(command, address):
    with started("mine", command, address) as server:
        os.kill(server.process.pid, 9)
        server.process.wait()
        with pytest.raises(RuntimeError, match="ended with -9"):
            server.check_alive()


def test_a_server_that_runs_already_is_not_measured_under_a_new_name(command, address):
    with (
        started("first", command, address) as server,
        pytest.raises(RuntimeError, match="answers before second is started"),
        started("second", "false", address),
    ):
        pass

    assert server.process.returncode == -15


def test_memory_of_a_process_that_is_gone_is_an_error():
    process = subprocess.Popen(["true"])
    process.wait()

    with pytest.raises(RuntimeError, match=f"no process {process.pid}"):
        process_bytes(process.pid)
