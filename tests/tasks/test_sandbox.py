import os
import re
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from forethought.tasks import sandbox
from forethought.tasks.sandbox import Limits, SandboxError, run


def status(program: str, **limits: float) -> str:
    return run(program, Limits(**limits)).status  # type: ignore[arg-type]


def test_a_program_that_runs_to_its_end_passes_and_its_output_is_kept() -> None:
    outcome = run("print('hello')\nassert 1 + 1 == 2")

    assert (outcome.status, outcome.output) == ("passed", "hello\n")


@pytest.mark.parametrize(
    "program",
    [
        "assert 1 == 2",
        "def (",
        "import sys; sys.exit(0)",
        "raise SystemExit(0)",
        "import os; os._exit(0)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "print('ready\\npassed\\nok'); raise KeyboardInterrupt",
        "import sys; sys.stderr = None; 1 / 0",
        "def deep(): deep()\ndeep()",
        "import numpy",
    ],
)
def test_leaving_before_the_last_line_fails_whatever_the_exit_code(program: str) -> None:
    assert status(program + "\n") == "failed"


def test_writing_to_every_open_file_does_not_pass() -> None:
    program = """
import os
for number in range(64):
    for text in (b"ready\\n", b"passed\\n", b"\\x00" * 32):
        try:
            os.write(number, text)
        except OSError:
            pass
os._exit(0)
"""
    assert status(program) == "failed"


def test_a_failure_shows_where_it_happened() -> None:
    assert "ZeroDivisionError" in run("x = 1\nx / 0").output


def test_an_endless_loop_times_out_by_the_clock_and_by_processor_time() -> None:
    started = time.monotonic()

    assert status("while True: pass", seconds=0.3) == "timed out"
    assert status("while True: pass", seconds=30, cpu_seconds=1) == "timed out"
    assert status("import time; time.sleep(60)", seconds=0.3) == "timed out"
    assert time.monotonic() - started < 10


def test_memory_files_and_processes_are_bounded() -> None:
    file = "with open('a', 'wb') as a: a.write(bytes({}))"
    assert status("x = bytearray(1 << 29)", memory_bytes=1 << 28) == "failed"
    assert status("x = bytearray(1 << 26)", memory_bytes=1 << 28) == "passed"
    assert status(file.format(9000), file_bytes=8192) == "failed"
    assert status(file.format(8000), file_bytes=8192) == "passed"
    bomb = "import os, time\nfor _ in range({}):\n    if os.fork() == 0: time.sleep(9); os._exit(0)"
    assert status(bomb.format(64), processes=8) == "failed"
    assert status(bomb.format(6), processes=8) == "passed"


def test_output_is_cut_and_the_rest_thrown_away() -> None:
    outcome = run("for _ in range(100): print('x' * 10_000)", Limits(output_bytes=1000))

    assert (outcome.status, outcome.output) == ("passed", "x" * 1000)


def test_there_is_no_network() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as server:
        assert server.stdout
        port = server.stdout.readline().split("port ")[1].split()[0]
        socket.create_connection(("127.0.0.1", int(port)), 5).close()  # it can be reached from here

        outcome = run(f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
        server.kill()

    assert outcome.status == "failed"
    assert "not permitted" in outcome.output or "unreachable" in outcome.output


def test_only_an_empty_folder_of_its_own_may_be_written(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o777)
    held = tmp_path / "held"
    held.write_text("kept")
    os.chmod(held, 0o666)

    assert status(f"open('{tmp_path}/new', 'w')") == "failed"
    assert status(f"open('{held}', 'w')") == "failed"
    assert status(f"import os; os.remove('{held}')") == "failed"
    assert held.read_text() == "kept"
    assert status("import os, tempfile; assert os.listdir() == []; open('a', 'w')") == "passed"
    assert status("import tempfile; tempfile.TemporaryFile().write(b'x')") == "passed"


def test_nothing_is_left_behind() -> None:
    outcome = run("import os; print(os.getcwd()); open('a', 'w').write('x')")

    assert not Path(outcome.output.strip()).exists()


def test_the_environment_is_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETHOUGHT_TEST", "in-the-open")
    program = """
import glob, os
print(dict(os.environ))
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        print(open(path, errors="replace").read())
    except OSError:
        pass
"""
    outcome = run(program, Limits(output_bytes=1 << 24))

    assert outcome.status == "passed"
    assert "in-the-open" not in outcome.output


CHILDREN = """
import ctypes, os, time
for detached in (False, True):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"{mark}", 0, 0, 0)
        if detached: os.setsid()
        open(f"started-{{detached}}", "w").close()
        time.sleep(60)
        os._exit(0)
while len(os.listdir()) < 2: time.sleep(0.01)
"""


def called(mark: str) -> list[str]:
    """Processes of this name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if path.read_text().strip() == mark:
                found.append(path.parent.name)
    return found


@pytest.mark.parametrize("end", ["", "while True: pass", "import os; os._exit(0)"])
def test_children_end_with_the_program_detached_ones_too(end: str) -> None:
    mark = f"{os.getpid()}.{len(end)}"
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(run, CHILDREN.format(mark=mark) + end, Limits(seconds=1))
        seen = 0
        while not outcome.done():
            seen = max(seen, len(called(mark)))

    assert seen == 2
    assert called(mark) == []


def test_programs_run_side_by_side_from_threads() -> None:
    programs = [f"import time; time.sleep(0.2); assert {number} % 2" for number in range(8)]

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(run, programs))

    assert [outcome.status for outcome in outcomes] == ["failed", "passed"] * 4


def test_a_sandbox_that_cannot_start_is_an_error_and_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(SandboxError, match="did not start: it said nothing"):
        run("pass")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SandboxError, match="no process could be started"):
        run("pass")


WITHOUT_WALLS = """
import contextlib, os, pathlib, sys, tempfile
from forethought.tasks.sandbox import Limits, MissingWallsError, WALLS, run
from tests.tasks.attacks.kernels import take_away
mark, held = sys.argv[1:]
take_away(["namespaces", "landlock", "seccomp"])
tempfile.tempdir = mark
outcome = run("print('hello')")
assert (outcome.status, outcome.output) == ("passed", "hello\\n"), outcome
assert not {"files", "network", "processes", "kernel"} & set(outcome.walls), outcome
for program in (
    "import socket; socket.socket()",
    "import os; os.system('true')",
    f"open({held!r}, 'w')",
    f"import os; os.rename('/dev/null', {held!r})",
    f"import os; os.utime({held!r}, (1, 1))",
    "import os; os._exit(0)",
):
    assert run(program).status == "failed", program
assert run("open('a', 'w').write('x')").status == "passed"
fork = f'''
import os
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import time
        open("started", "w").close()
        time.sleep(60)
    os._exit(0)
os.wait()
import time
while not os.path.exists("started"): time.sleep(0.01)
'''
def alive():
    found = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            found += os.readlink(path).startswith(mark)
    return found
assert run(fork).status == "passed"
assert alive() == 0
assert run(fork + "time.sleep(60)", Limits(seconds=1)).status == "timed out"
assert alive() == 0
try:
    run(f"open({mark!r} + '/loaded', 'w')", needed=WALLS)
except MissingWallsError as error:
    print(error)
    print(error.hint)
print("all held")
"""


@pytest.fixture
def without_walls(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What is told where the kernel has neither namespaces, Landlock nor seccomp."""
    (tmp_path / "held").write_text("kept")
    command = [sys.executable, "-c", WITHOUT_WALLS, str(tmp_path), str(tmp_path / "held")]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, f"{root}/src"])}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="takes walls of Linux away")
def test_where_the_system_gives_no_walls_plain_code_is_still_held(
    without_walls: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert without_walls.stdout.endswith("all held\n"), without_walls.stderr
    assert (tmp_path / "held").read_text() == "kept"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="takes walls of Linux away")
def test_walls_that_are_needed_and_missing_are_named_before_the_program_is_loaded(
    without_walls: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    told, hint, _ = without_walls.stdout.splitlines()

    assert re.fullmatch("this system does not keep programs from: files, network, .*kernel", told)
    assert "--sandbox strict" in hint
    assert not (tmp_path / "loaded").exists()


def test_the_default_limits_are_the_documented_ones() -> None:
    assert Limits(10.0, 10, 1 << 30, 16 << 20, 16, 1 << 16) == sandbox.DEFAULT


def test_modules_of_the_library_work_inside() -> None:
    program = """
import asyncio, ctypes, dataclasses, decimal, hashlib, lzma, pickle, sqlite3, ssl, tempfile
import threading, uuid, zlib, zoneinfo
@dataclasses.dataclass
class Point:
    x: int
async def nothing():
    await asyncio.sleep(0)
    return 3
assert asyncio.run(nothing()) == 3
assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
assert sqlite3.connect(":memory:").execute("select 1").fetchone() == (1,)
threading.Thread(target=print).start()
uuid.uuid4()
with tempfile.TemporaryDirectory() as folder:
    open(folder + "/x", "w").close()
"""
    outcome = run(program)

    assert outcome.status == "passed", outcome.output


def test_only_the_library_and_the_work_folder_are_there() -> None:
    program = """
import os, sys
for folder, names, files in os.walk("/"):
    for name in files:
        print(os.path.join(folder, name))
print(os.listdir(os.path.dirname(os.__file__) + "/site-packages"))
"""
    outcome = run(program, Limits(output_bytes=1 << 22))
    if "files" not in outcome.walls:
        pytest.skip("this system gives no wall for files")

    assert "site-packages/" not in outcome.output
    assert all(
        line.endswith((".py", ".pyc")) or "python" in line or line == "[]"
        for line in outcome.output.splitlines()
    )
