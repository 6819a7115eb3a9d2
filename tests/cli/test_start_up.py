"""What the command line imports before it answers, and what happens when it is interrupted then."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from forethought.cli.main import VERBS

HEAVY = {
    "torch", "numpy", "scipy", "pydantic", "typer", "click", "rich", "jinja2", "httpx2",
    "tokenizers", "transformers", "safetensors", "gguf", "huggingface_hub", "platformdirs",
}  # fmt: skip
# Of the standard library what takes as long as a third of a bare interpreter, or more.
SLOW = {"dataclasses", "inspect", "ast", "importlib.metadata", "email", "argparse", "shutil"}
OWN = {f"forethought.cli.{verb}" for verb in VERBS}
HELP = [["--help"], ["-h"], *([verb, "--help"] for verb in VERBS)]
LISTS = [["list"], ["list", "kv-eviction"], ["list", "strategies"], ["list", "tasks"]]
ERRORS = [["nonsense", "--unknown"], ["list", "--unknown"], ["show"], ["ask", "--seed", "x"]]

RUN = """
import sys
from forethought.cli.main import run
try:
    run({arguments})
except SystemExit as left:
    code = left.code
print(code, *sys.modules, file=sys.stderr)
"""


def imported(arguments: list[str]) -> tuple[int, set[str]]:
    """The exit code of a command line, and every module that stands imported behind it."""
    code = RUN.format(arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    left, *modules = done.stderr.splitlines()[-1].split()
    return int(left), set(modules)


@pytest.mark.parametrize("arguments", [*HELP, *LISTS], ids=" ".join)
def test_help_and_lists_import_nothing_slow_and_no_other_verb(arguments: list[str]) -> None:
    code, modules = imported(arguments)

    wanted = set() if arguments in HELP else {"forethought.cli.list"}
    assert code == 0
    assert modules & (HEAVY | SLOW) == set()
    assert modules & OWN == wanted


@pytest.mark.parametrize("arguments", ERRORS, ids=" ".join)
def test_wrong_usage_is_told_before_any_verb_is_imported(arguments: list[str]) -> None:
    code, modules = imported(arguments)

    assert code == 2
    assert modules & (HEAVY | SLOW | OWN) == set()


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["list", "models"], ["list", "--json"], ["show", "specpc"], ["show", "beam"],
     ["show", "snap-kv"], ["--show-completion", "bash"], ["--complete", "ask", "-x", "s"]],
    ids=" ".join,
)  # fmt: skip
def test_what_else_knows_the_catalogue_alone_imports_no_library(arguments: list[str]) -> None:
    _, modules = imported(arguments)

    assert modules & HEAVY == set()
    assert modules & OWN <= {f"forethought.cli.{arguments[0]}"}
    assert not any(
        name.startswith(("forethought.methods.", "forethought.tasks.")) for name in modules
    )


def test_what_starts_the_command_line_imports_next_to_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import forethought.cli.main; print(*sorted(set(sys.modules) - before))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.split() == [
        "__future__", "forethought", "forethought.cli", "forethought.cli.main",
    ]  # fmt: skip


INTERRUPTED = """
import os, signal, sys
from forethought.cli.main import run

class Interrupting:
    def __init__(self, at):
        self.left = at
    def find_spec(self, name, path=None, target=None):
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

def left_with(at):
    child = os.fork()
    if child == 0:
        finder = Interrupting(at)
        sys.meta_path.insert(0, finder)
        try:
            run({arguments})
        except SystemExit as left:
            os._exit(9 if finder.left > 0 else left.code)
        except BaseException:
            os._exit(8)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

at, codes = 0, []
while not codes or codes[-1] != 9:
    at += {step}
    codes.append(left_with(at))
print(len(codes), *set(codes[:-1]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "step"),
    [(["list", "--json", "no-such-family"], 1), (["ask", "Why?", "-x", "no-such-method"], 3)],
)
def test_an_interruption_at_any_import_ends_quietly(arguments: list[str], step: int) -> None:
    code = INTERRUPTED.format(arguments=arguments, step=step)

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )

    *told, last = done.stderr.splitlines()
    steps, *codes = map(int, last.split())
    assert codes == [130]
    assert steps > 10
    # Only the run that was not interrupted has anything to say.
    assert [line for line in told if line.startswith("error")] == told[:1]
    assert done.stdout == ""


def test_verbs_that_run_models_make_the_settings_before_torch_starts() -> None:
    code = (
        "import os, sys\n"
        "from forethought.cli.torch_start import start_torch\n"
        "before = 'torch' in sys.modules\n"
        "start_torch(1)\n"
        "print(before, os.environ['GOMP_SPINCOUNT'], sys.modules['torch'].get_num_threads())"
    )
    free = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=free, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False 2000 1\n"
