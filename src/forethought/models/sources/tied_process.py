"""Runs a command, and kills it as soon as the parent process is gone.

The parent holds the other end of standard input, which the system closes however the parent ends,
even if it is killed. This file runs by path, outside the package, so it imports none of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

COMMAND = (sys.executable, "-I", "-S", __file__)
"""The command prefix; run it in a new session, since it kills its process group."""


def main(command: Sequence[str]) -> int:
    """Run a command until it exits or standard input closes; return its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_ended_with_input, args=(process,), daemon=True).start()
    return process.wait()


def _ended_with_input(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1 << 10):  # unbuffered: a buffer's lock could block the interpreter's exit
        pass
    if sys.platform == "win32":
        process.kill()
    else:  # the command's children and this process share the group
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
