"""The entry point of the command line, and the only place that catches and shows errors.

This module itself imports next to nothing. `run` imports the rest, so Ctrl-C during an import ends
quietly, and it imports a verb's module only to run that verb.
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
    "evaluate": "Score recipes on tasks; run the same line again to resume after a stop.",
    "cost": "Predict FLOPs, bytes, time, memory and money of a recipe, without its weights.",
    "forecast": "Predict from stored answers the score and cost of fewer or more of them.",
    "tune": "Fit plans, calibrations and probes to stored answers, or search for settings.",
    "audit": "Test whether a model was trained on these texts in this order.",
    "serve": "Serve an OpenAI-compatible API, and a page that shows its runs.",
    "runs": "List, show, replay or export stored runs, and why they were spent so.",
    "list": "List methods, strategies and scorers, one family of them, tasks, or models.",
    "show": "Show a method, strategy, scorer or task: its paper, exact setting and parameters.",
    "pull": "Fetch a model into the cache, check it and print its folder.",
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
    """Run the arguments and exit with their exit code."""
    try:
        _open_closed_streams()
        _lose_no_letters()
        code = exit_code(with_verb(list(sys.argv[1:] if arguments is None else arguments)))
    except KeyboardInterrupt:  # even while an error is being shown
        code = INTERRUPTED
    sys.exit(code)


def _open_closed_streams() -> None:
    """Replace streams that the shell closed by the null device."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (open to the end)


def _lose_no_letters() -> None:
    """Escape characters that the encoding of a stream lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def with_verb(arguments: list[str]) -> list[str]:
    """The arguments, with `ask` in front if they begin with neither a verb nor an own flag."""
    if not arguments:
        from forethought.cli.inputs import piped

        return ["ask"] if piped() else ["--help"]
    return arguments if arguments[0] in {*VERBS, *_OWN_FLAGS} else ["ask", *arguments]


def exit_code(arguments: list[str]) -> int:
    """Run one verb; an error prints to standard error and sets the exit code."""
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
        where = error.filename or "standard input or output"
        hint = "check that it exists, its permissions, and free disk space"
        return _failed(f"{where}: {error.strerror or error}", hint, 1, verbose)
    except Exception as error:
        hint = "run it again with -v for the traceback" if not verbose else ""
        return _failed(f"{type(error).__name__}: {error}", hint, 1, verbose)


def _failed(message: str, hint: str, code: int, verbose: bool) -> int:
    from contextlib import suppress

    from forethought.cli.terminal import ReaderLeft

    with suppress(OSError, ReaderLeft):  # standard error may be closed too
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
