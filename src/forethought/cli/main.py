"""The command line: verbs, `ask` when none is given, and the one place that shows errors."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated

import typer

from forethought.cli.ask import ask
from forethought.cli.compare import compare
from forethought.cli.compress import compress
from forethought.cli.evaluate import evaluate
from forethought.cli.forecast import forecast
from forethought.cli.inputs import piped
from forethought.cli.list import list_names
from forethought.cli.progress import CLEAR_LINE
from forethought.cli.pull import pull
from forethought.cli.screen import report
from forethought.cli.show import show
from forethought.cli.tune import tune
from forethought.contracts.errors import ForethoughtError

VERBS: dict[str, Callable[..., int]] = {
    "ask": ask,
    "compare": compare,
    "compress": compress,
    "evaluate": evaluate,
    "forecast": forecast,
    "tune": tune,
    "list": list_names,
    "show": show,
    "pull": pull,
}
_OWN_FLAGS = {"--help", "-h", "--version", "--install-completion", "--show-completion"}
# The parser's own errors; its module has another name from version to version.
_ParseError: type[Exception] = typer.BadParameter.__bases__[0]

# Plain help: the rich one takes as long to import as everything else together.
app = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback(invoke_without_command=True)
def forethought(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Answer questions with open language models, and see what each answer cost.

    Without a verb, `ask` is meant: forethought "What is an eclipse?"
    """
    if version:
        report(f"forethought {metadata.version('forethought')}")


for _name, _verb in VERBS.items():
    app.command(_name)(_verb)


def run(arguments: Sequence[str] | None = None) -> None:
    """Do what the arguments say, then leave with its exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter should not end an answer half way.
            stream.reconfigure(errors="replace")
    sys.exit(exit_code(with_verb(list(sys.argv[1:] if arguments is None else arguments))))


def _open_closed_streams() -> None:
    """A stream that the shell closed reads as empty and takes what is written to it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  (open to the end)


def with_verb(arguments: list[str]) -> list[str]:
    """The arguments, begun by `ask` where neither a verb nor a flag of ours begins them."""
    if not arguments:
        return ["ask"] if piped() else ["--help"]
    return arguments if arguments[0] in {*VERBS, *_OWN_FLAGS} else ["ask", *arguments]


def exit_code(arguments: list[str]) -> int:
    """Run one verb; errors are shown on standard error and become their exit code."""
    verbose = not {"-v", "--verbose"}.isdisjoint(arguments)
    try:
        command = typer.main.get_command(app)
        done = command.main(arguments, prog_name="forethought", standalone_mode=False)
    except ForethoughtError as error:
        return _failed(error.message, error.hint, error.exit_code, verbose)
    except _ParseError as error:
        return _failed(_message(error), _hint(arguments, _message(error)), 2, False)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except OSError as error:
        where = error.filename or "what is read or printed"
        hint = "see that it is there, may be used, and has room"
        return _failed(f"{where}: {error.strerror or error}", hint, 1, verbose)
    except Exception as error:
        hint = "run it again with -v to see where" if not verbose else ""
        return _failed(f"{type(error).__name__}: {error}", hint, 1, verbose)
    return done or 0


def _message(error: BaseException) -> str:
    message: str = error.format_message()  # type: ignore[attr-defined]
    return (message[:1].lower() + message[1:]).removesuffix(".")


def _hint(arguments: list[str], message: str) -> str:
    if arguments[0] == "ask" and message.startswith(("got unexpected", "no such option")):
        return "quote the question; one that begins with - comes after --; see: forethought ask -h"
    return f"see: forethought {arguments[0]} --help"


def _failed(message: str, hint: str, code: int, verbose: bool) -> int:
    if verbose:
        traceback.print_exc()
    start = CLEAR_LINE if sys.stderr.isatty() else ""
    sys.stderr.write(f"{start}error: {message}\n" + (f"\nhint: {hint}\n" if hint else ""))
    return code
