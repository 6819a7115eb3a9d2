"""Sets up the walls and starts the processes.

This process forks a first one, the root of the process tree. The first process forks the tests,
and a second tree whose PID namespace holds the program alone.
"""

from __future__ import annotations

import _socket
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from . import hook, limits, privileges, program, tester, trials, view
from .kernel import NEW_PIDS, Kernel
from .peer import report_end


class Sandbox(NamedTuple):
    """Configuration shared by all processes."""

    kernel: Kernel | None
    """None on systems other than Linux."""
    limits: dict[str, Any]
    readable: list[str]
    work: str
    """The only writable folder."""
    outside: str
    """An outside folder that trials try to reach."""
    starter: int
    """Process id of the sandbox's parent."""
    user: int
    """User id of the program."""
    apart: bool
    """Whether the process is in namespaces."""


class Pipes(NamedTuple):
    """File descriptors of pipes and files."""

    settings: int
    result: int
    program_reads: int
    tests_write: int
    tests_read: int
    program_writes: int


def main(settings_at: int, result_at: int) -> NoReturn:
    """Run the program and the tests of the settings; exit with the first process's code.

    The configuration comes from standard input, which is empty for the children.
    """
    sys.path.pop()
    config: dict[str, Any] = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    bait = _bait_sockets(config["outside"])
    sandbox = _walled(config)
    pipes = Pipes(settings_at, result_at, *os.pipe(), *os.pipe())
    first = os.fork()
    if first == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _first_process(sandbox, pipes)
    signal.signal(signal.SIGTERM, lambda *_: _stop(first))
    _close_all_but()
    code = limits.exit_code(first)
    limits.kill_children()
    del bait
    os._exit(code)


def _bait_sockets(outside: str) -> list[_socket.socket]:
    """Listening sockets as bait for the trials."""
    found = []
    for name in (f"{outside}/socket", f"\0{outside}"):
        with suppress(OSError):  # abstract names exist on Linux only
            one = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            one.bind(name)
            one.listen(1)
            found.append(one)
    return found


def _walled(config: dict[str, Any]) -> Sandbox:
    work, kernel = os.getcwd(), None
    readable, bytes_of_files = config["readable"], 4 * config["limits"]["file_bytes"]
    apart = False
    if sys.platform.startswith("linux"):
        kernel = Kernel()
        kernel.adopt_orphans()
        apart = view.separate(kernel)
        if apart:
            view.replace_root(kernel, readable, f"{config['outside']}/root", work, bytes_of_files)
            os.chdir(work)
        kernel.drop_bounding_set()
    return Sandbox(
        kernel=kernel,
        limits=config["limits"],
        readable=readable,
        work=work,
        outside=config["outside"],
        starter=os.getppid(),
        user=privileges.user_of(work),
        apart=apart,
    )


def _stop(first: int) -> NoReturn:
    """Kill the first process, then its orphans, which this process adopts."""
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    limits.kill_children()
    os._exit(128 + signal.SIGTERM)


def _first_process(sandbox: Sandbox, pipes: Pipes) -> NoReturn:
    """Start the tests and the program; end with the tests and kill the rest."""
    limits.restrict(sandbox.limits)
    tests = os.fork()
    if tests == 0:
        _close_all_but(pipes.settings, pipes.result, pipes.tests_read, pipes.tests_write)
        _confine(sandbox, sandbox.user + privileges.SECOND if sandbox.user else 0)
        at = (pipes.settings, pipes.result, pipes.tests_read, pipes.tests_write)
        tester.run(*at)
        os._exit(0)
    if sandbox.kernel and sandbox.apart:
        sandbox.kernel.unshare(NEW_PIDS)
    privileges.give_up(sandbox.kernel, sandbox.user)
    runner = os.fork()
    if runner == 0:
        _second_tree(sandbox, pipes)
    _close_all_but()
    code = limits.exit_code(tests)
    limits.kill_children()
    os._exit(code)


def _second_tree(sandbox: Sandbox, pipes: Pipes) -> NoReturn:
    """Run the program in a process of its own, and report its end to the tests."""
    if sandbox.kernel:
        sandbox.kernel.die_with_parent()
        sandbox.kernel.adopt_orphans()
    worker = limits.forked(sandbox.limits["processes"])
    if worker == 0:
        _run_program(sandbox, pipes)
    _close_all_but(pipes.program_writes)
    report_end(pipes.program_writes, limits.exit_code(worker))
    limits.kill_children()
    os._exit(0)


def _run_program(sandbox: Sandbox, pipes: Pipes) -> NoReturn:
    _close_all_but(pipes.program_reads, pipes.program_writes)
    _confine(sandbox, sandbox.user)
    if sandbox.kernel:
        sandbox.kernel.hide_memory(False)  # so that its memory can be measured
    walls = trials.walls(sandbox.kernel, sandbox.outside, sandbox.starter)
    hook.watch(sandbox.work, walls)
    program.run(pipes.program_reads, pipes.program_writes, walls)
    os._exit(0)


def _confine(sandbox: Sandbox, user: int) -> None:
    privileges.give_up(sandbox.kernel, user)
    if sandbox.kernel:
        sandbox.kernel.die_with_parent()
        privileges.confine(sandbox.kernel, sandbox.readable, view.DEVICES, sandbox.work)


def _close_all_but(*kept: int) -> None:
    """Close all file descriptors except the standard ones and these."""
    least = 3
    for number in sorted(kept):
        os.closerange(least, number)
        least = number + 1
    os.closerange(least, 4096)
