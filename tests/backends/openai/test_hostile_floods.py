"""However much a server sends, it is read in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.backends.openai.hostile.floods import FLOODS, LARGEST, SLOW
from tests.backends.openai.hostile.server import serving

MOST = 256
"""MiB of the whole process, interpreter and all."""
IN_A_WHILE = ("sent nothing for too long", SLOW)


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "cases"), [(40, FLOODS), (8000, LARGEST)])
def test_no_reply_takes_more_memory_than_it_may(tokens, cases):
    flood = {case.name: case for case in cases if not case.error.endswith(IN_A_WHILE)}
    with serving(flood) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        command = [
            sys.executable,
            "-m",
            "tests.backends.openai.hostile.flooded",
            address,
            str(tokens),
            *flood,
        ]
        root = Path(__file__).parents[3]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    told = [line.split("\t") for line in done.stdout.splitlines()]
    assert [name for name, *_ in told] == list(flood)
    assert max(int(peak) for _, peak, _ in told) < MOST
    for name, _, kind in told:
        assert kind == ("RemoteError" if flood[name].error else "Piece"), name
