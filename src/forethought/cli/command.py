"""Dispatch of a command line: help, the command's own flags, verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol, cast

from forethought.cli import options, terminal
from forethought.cli.grammar import Given, parse, switch
from forethought.cli.help import command_help, verb_help
from forethought.cli.verbs import table
from forethought.contracts.errors import UsageError

FLAGS = (
    switch("--version", help="Print the version."),
    switch("--install-completion", help="Install completion for this shell, or for the named one."),
    switch(
        "--show-completion", help="Print the completion script of this shell, or of the named one."
    ),
)
"""The command's own flags."""


class Code(Protocol):
    """The module of a verb."""

    def run(self, given: Given) -> int:
        """Run the verb and return the exit code."""


def code(verb: str) -> Code:
    """Import the module of a verb."""
    return cast(Code, import_module(f"forethought.cli.{verb}"))


def given(arguments: Sequence[str], verbs: Mapping[str, str]) -> Given | None:
    """The values for the verb that begins the arguments; None after its help is printed."""
    name, *words = arguments
    try:
        found = parse(table(name), words)
    except UsageError as error:
        error.hint = _hint(name, error)
        raise
    if found is None:
        terminal.report(verb_help(name, verbs[name], table(name)))
    return found


def is_verbose(given: Given) -> bool:
    """Whether errors show a traceback."""
    return options.VERBOSE in given and given[options.VERBOSE]


def own(arguments: Sequence[str], verbs: Mapping[str, str]) -> int:
    """Run one of the command's own flags."""
    flag, *words = arguments
    if flag == "--complete":
        from forethought.cli.completion import complete

        terminal.report("\n".join(complete(words, verbs, FLAGS)))
    elif flag in ("--install-completion", "--show-completion"):
        from forethought.cli import shells

        act = shells.install if flag == "--install-completion" else shells.script
        terminal.report(act(_only(words)))
    elif flag == "--version":
        from importlib import metadata

        terminal.report(f"forethought {metadata.version('forethought')}")
    else:
        terminal.report(command_help(verbs, FLAGS))
    return 0


def _only(words: Sequence[str]) -> str:
    """The optional word after a flag; empty without one."""
    if len(words) > 1:
        raise UsageError(f"got unexpected extra argument(s) ({' '.join(words[1:])})", _SEE)
    return "".join(words)


_SEE = "see: forethought --help"


def _hint(verb: str, error: UsageError) -> str:
    see = f"see: forethought {verb} --help"
    if error.hint:
        return f"{error.hint} {see}"
    if verb == "ask" and error.message.startswith(("got unexpected", "no such option")):
        return "quote the question; one that begins with - comes after --; see: forethought ask -h"
    return see
