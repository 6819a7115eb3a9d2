"""Puts up the walls and starts the processes.

This process starts a first one, which owns the tree of processes. That one starts the tests, and a
second tree whose first process runs the program: it cannot even name processes outside.
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
from .peer import tell_of_end


class Sandbox(NamedTuple):
    """What all processes know."""

    kernel: Kernel | None
    """None where the system is not Linux."""
    limits: dict[str, Any]
    readable: list[str]
    work: str
    """The one folder that may be written."""
    outside: str
    """A folder to be tried from inside."""
    starter: int
    """The process that asked for all this."""
    user: int
    """Whom the program runs as."""
    apart: bool
    """Whether there are namespaces."""


class Pipes(NamedTuple):
    """Ends of pipes, and files that are open."""

    settings: int
    result: int
    program_reads: int
    tests_write: int
    tests_read: int
    program_writes: int


def main(settings_at: int, result_at: int) -> NoReturn:
    """Run the program and the tests that the settings hold, and exit as the first process did.

    The configuration comes from standard input, which is empty for all that are started.
    """
    sys.path.pop()
    config: dict[str, Any] = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    listening = _listening(config["outside"])
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
    del listening
    os._exit(code)


def _listening(outside: str) -> list[_socket.socket]:
    """Sockets that the trials look for; they take connections while this process lives."""
    found = []
    for name in (f"{outside}/socket", f"\0{outside}"):
        with suppress(OSError):  # names without a path are Linux's own
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
    """End the first process; its heirs come to this one, and are ended too."""
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    limits.kill_children()
    os._exit(128 + signal.SIGTERM)


def _first_process(sandbox: Sandbox, pipes: Pipes) -> NoReturn:
    """Start the tests and the program, and end with the tests; what is left then ends too."""
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
    """Run the program in a process of its own, and tell the tests how that ended."""
    if sandbox.kernel:
        sandbox.kernel.die_with_parent()
        sandbox.kernel.adopt_orphans()
    worker = limits.forked(sandbox.limits["processes"])
    if worker == 0:
        _run_program(sandbox, pipes)
    _close_all_but(pipes.program_writes)
    tell_of_end(pipes.program_writes, limits.exit_code(worker))
    limits.kill_children()
    os._exit(0)


def _run_program(sandbox: Sandbox, pipes: Pipes) -> NoReturn:
    _close_all_but(pipes.program_reads, pipes.program_writes)
    _confine(sandbox, sandbox.user)
    if sandbox.kernel:
        sandbox.kernel.hide_memory(False)  # so that what it uses can be counted
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
    """Close all files but the standard ones and these."""
    least = 3
    for number in sorted(kept):
        os.closerange(least, number)
        least = number + 1
    os.closerange(least, 4096)
