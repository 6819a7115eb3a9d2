"""Ctrl-C during imports of libraries.

numpy and torch swallow a KeyboardInterrupt that reaches some of their imports: they go on, or fail
with another error seconds later.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from forethought.cli.main import INTERRUPTED


@contextmanager
def exits_at_once(told: str = "") -> Iterator[None]:
    """Ctrl-C inside the block writes `told` to standard error and exits the process.

    Nothing unwinds, so the block may hold nothing but imports. Inside another such block, in other
    threads and where a caller handles or ignores SIGINT itself, it changes nothing.
    """

    def exit_at_once(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):
            os.write(2, told.encode())
        os._exit(INTERRUPTED)

    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    sys.stderr.flush()
    signal.signal(signal.SIGINT, exit_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
