"""The command line: verbs, `ask` when none is given, and the one place that shows errors.

This module imports next to nothing by itself. All else is imported inside `run`, which ends quietly
when it is interrupted, and a verb's own module only when that verb is run.
"""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = {
    "ask": "Answer a question, about a document if one is given.",
    "compare": "Compare recipes with the exact run: quality against bytes, time and FLOPs.",
    "compress": "Shorten a document for a question and print both, for any model to answer.",
    "evaluate": "Score recipes on tasks; run the same line again to go on after a stop.",
    "forecast": "Tell from kept answers what fewer or more of them would score and cost.",
    "tune": "Fit which strategy suits which questions, from kept answers; no model is asked.",
    "list": "List methods, strategies and scorers, one family of them, tasks, or models.",
    "show": "Show a method, strategy, scorer or task: its paper, what it loses, its parameters.",
    "pull": "Fetch a model, check it and keep it; its folder is printed.",
}
"""Each verb and its summary."""
INTERRUPTED = 130
_OWN_FLAGS = (
    "--help",
    "-h",
    "--version",
    "--install-completion",
    "--show-completion",
    "--complete",
)


def run(arguments: Sequence[str] | None = None) -> None:
    """Do what the arguments say, then leave with its exit code."""
    try:
        _open_closed_streams()
        _lose_no_letters()
        code = exit_code(with_verb(list(sys.argv[1:] if arguments is None else arguments)))
    except KeyboardInterrupt:  # even while an error is being shown
        code = INTERRUPTED
    sys.exit(code)


def _open_closed_streams() -> None:
    """A stream that the shell closed reads as empty and takes what is written to it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (open to the end)


def _lose_no_letters() -> None:
    """A stream whose encoding lacks a letter gets its number, and the answer goes on."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def with_verb(arguments: list[str]) -> list[str]:
    """The arguments, begun by `ask` where neither a verb nor a flag of ours begins them."""
    if not arguments:
        from forethought.cli.inputs import piped

        return ["ask"] if piped() else ["--help"]
    return arguments if arguments[0] in {*VERBS, *_OWN_FLAGS} else ["ask", *arguments]


def exit_code(arguments: list[str]) -> int:
    """Run one verb; errors are shown on standard error and become their exit code."""
    from forethought.cli import command
    from forethought.cli.terminal import ReaderLeft
    from forethought.contracts.errors import ForethoughtError

    verbose = False
    try:
        if arguments[0] not in VERBS:
            return command.own(arguments, VERBS)
        given = command.given(arguments, VERBS)
        if given is None:
            return 0
        verbose = command.is_verbose(given)
        return command.code(arguments[0]).run(given)
    except ForethoughtError as error:
        return _failed(error.message, error.hint, error.exit_code, verbose)
    except ReaderLeft:
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        where = error.filename or "what is read or printed"
        hint = "see that it is there, may be used, and has room"
        return _failed(f"{where}: {error.strerror or error}", hint, 1, verbose)
    except Exception as error:
        hint = "run it again with -v to see where" if not verbose else ""
        return _failed(f"{type(error).__name__}: {error}", hint, 1, verbose)


def _failed(message: str, hint: str, code: int, verbose: bool) -> int:
    from contextlib import suppress

    from forethought.cli.terminal import ReaderLeft

    with suppress(OSError, ReaderLeft):  # nobody can be told where it cannot be written either
        _tell(message, hint, verbose)
    return code


def _tell(message: str, hint: str, verbose: bool) -> None:
    from forethought.cli import terminal

    if verbose:
        import traceback

        terminal.write(sys.stderr, traceback.format_exc())
    if sys.stderr.isatty():
        terminal.redraw(sys.stderr, "")
    terminal.write(sys.stderr, f"error: {message}\n" + (f"\nhint: {hint}\n" if hint else ""))
