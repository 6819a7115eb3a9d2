"""A process ends, though an answer of a server was not heard to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_an_answer_that_was_left_half_heard_does_not_keep_the_interpreter(toy):
    code = f"""
from forethought import stream
events = stream("{toy.base}/v1#toy", "What?")
print(next(events))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_panel_that_cannot_be_written_ends_the_command(toy):
    command = [sys.executable, "-m", "forethought", "ask", "What?", "-m", f"{toy.base}/v1#toy"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, timeout=60)
    assert done.returncode != 0
    assert done.stdout
