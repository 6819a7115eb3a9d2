"""Asks a hostile server in a process of its own, and tells how much memory that took.

    python -m tests.backends.openai.hostile.flooded ADDRESS TOKENS NAME...

It prints a line for each case: its name, the process's peak in MiB so far, and what came of it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from forethought.backends.openai.backend import OpenAIBackend
from forethought.backends.openai.endpoint import Endpoint, Patience
from forethought.backends.openai.protocol import Capabilities
from forethought.contracts.backend import Request
from forethought.contracts.questions import Question
from forethought.contracts.search import Candidate

PATIENCE = Patience(attempts=1, silence_seconds=20.0, reply_seconds=20.0, token_seconds=0.0)


def asked(base: str, most: int) -> object:
    """What comes of one request for so many tokens: bounds grow with them."""
    one = Request(
        "k", "run", Question("q", "What?"), Candidate(), (0,), 0, 0, "end", "\n", None, most
    )
    place = Endpoint(base, "toy")
    with OpenAIBackend(
        place, key="", known_capabilities=Capabilities("toy"), patience=PATIENCE
    ) as remote:
        remote.submit(one)
        (outcome,) = remote.poll()
    return outcome.error or outcome.piece


def main(address: str, most: str, *names: str) -> None:
    """Ask for all, one after the other."""
    for name in names:
        found = asked(f"{address}/{name}/v1", int(most))
        print(f"{name}\t{peak()}\t{type(found).__name__}", flush=True)


def peak() -> int:
    """The most memory that this process ever held, in MiB; what it was forked from has no part."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) >> 10


if __name__ == "__main__":
    main(*sys.argv[1:])
