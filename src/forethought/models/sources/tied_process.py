"""A program that runs another one, and ends it as soon as the process that began both is gone.

Whoever begins it holds the other end of its standard input, which the system closes with its holder
however that ends: a killed one cleans up nothing itself. It is run by its path, apart from the
package, and so imports nothing of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

COMMAND = (sys.executable, "-I", "-S", __file__)
"""What to run, the other program's command behind it, in a session of its own."""


def main(command: Sequence[str]) -> int:
    """Run a command to its end, or to the end of standard input; its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_ended_with_input, args=(process,), daemon=True).start()
    return process.wait()


def _ended_with_input(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1 << 10):  # unbuffered: a buffer's lock cannot be held when this ends
        pass
    if sys.platform == "win32":
        process.kill()
    else:  # what the command began itself is of the same group, and so is this process
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
