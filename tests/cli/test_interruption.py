"""Ctrl-C while a comparison imports the libraries it runs on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forethought.cli.interruption import exits_at_once

INTERRUPTED_AT = """
import signal, sys
from forethought.cli.main import run

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
run({arguments})
"""


@pytest.mark.parametrize(
    "module",
    [
        "numpy._core._multiarray_umath",  # alone, the comparison went on to its end
        "numpy._typing._nbit_base",  # alone, a RecursionError followed
        "torch.types",
        "forethought.evaluation.compare",
    ],
)
def test_an_interrupted_start_ends_at_once_and_says_how_to_go_on(
    module: str, tmp_path: Path
) -> None:
    results = tmp_path / "results.sqlite"
    arguments = ["compare", "snapkv", "-m", "no-such-model", "-t", "vt(count=1)", "--json",
                 "--results", str(results)]  # fmt: skip
    code = INTERRUPTED_AT.format(module=module, arguments=arguments)

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr == (
        f"stopped: all finished answers are in {results}\n"
        "\nhint: run the same line again to resume\n"
    )


def test_a_callers_own_handling_of_ctrl_c_stays() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with exits_at_once("never written"):
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_after_the_imports_ctrl_c_is_an_exception_again() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with exits_at_once("never written"):
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
