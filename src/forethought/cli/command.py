"""From the words of a command line to what is run: help, flags of the command itself, verbs."""

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
    switch("--install-completion", help="Complete words in this shell, or in the one named next."),
    switch("--show-completion", help="Print what that would install, for this shell or another."),
)
"""Those of the command itself."""


class Code(Protocol):
    """The module of a verb."""

    def run(self, given: Given) -> int:
        """Do what was asked, and tell the exit code."""


def code(verb: str) -> Code:
    """The module of a verb, imported now."""
    return cast(Code, import_module(f"forethought.cli.{verb}"))


def given(arguments: Sequence[str], verbs: Mapping[str, str]) -> Given | None:
    """What is given to the verb that the arguments begin with; None where help was printed."""
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
    """Whether errors shall say where they arose."""
    return options.VERBOSE in given and given[options.VERBOSE]


def own(arguments: Sequence[str], verbs: Mapping[str, str]) -> int:
    """Do what a flag of the command itself says."""
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
    """The one word that may stand behind a flag; empty where there is none."""
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
