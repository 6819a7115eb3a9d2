"""Processor time of commands that compute nothing, beside a bare interpreter's.

    python benchmarks/startup.py
    python benchmarks/startup.py -n 50 "import click" "import argparse"

Each command runs in turn with `python -c pass`, so that both meet the same machine. The table shows
medians of user and system time together, and of the ratios. Arguments are run as Python code
instead. Bytecode is kept in a folder of its own, as an installed package has it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

COMMANDS = (
    "--help",
    "ask --help",
    "list",
    "list kv-eviction",
    "show specpc",
    "show beam",
    "--version",
    "list --json",
    "list models",
    "cost -m qwen2.5-1.5b -d qwen2.5-0.5b --on h100 --prompt 32k --answer 1k -x specpc(keep=2048)",
)
# As the console script does, which `-m` would burden with imports of its own.
SCRIPT = "import re, sys; from forethought.cli.main import run; run(sys.argv[1:])"


def seconds(command: list[str], environment: dict[str, str]) -> float:
    """Processor time of one run."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0  # reaped above
    return used.ru_utime + used.ru_stime


def measured(command: list[str], runs: int, environment: dict[str, str]) -> tuple[float, float]:
    """The median time of a command, and the median ratio to a bare interpreter beside it."""
    bare = [sys.executable, "-c", "pass"]
    for one in (bare, command):
        seconds(one, environment)
    pairs = [(seconds(command, environment), seconds(bare, environment)) for _ in range(runs)]
    times = statistics.median(time for time, _ in pairs)
    return times, statistics.median(time / beside for time, beside in pairs)


def main() -> None:
    """Print a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("code", nargs="*", help="Python code to measure instead")
    parser.add_argument("-n", "--runs", type=int, default=30)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        commands = {f"forethought {one}": ["-c", SCRIPT, *one.split()] for one in COMMANDS}
        if wanted.code:
            commands = {code: ["-c", code] for code in wanted.code}
        for name, command in {"pass": ["-c", "pass"], **commands}.items():
            time, ratio = measured([sys.executable, *command], wanted.runs, environment)
            print(f"{name:32}{1000 * time:8.1f} ms{ratio:8.2f} x")


if __name__ == "__main__":
    main()
