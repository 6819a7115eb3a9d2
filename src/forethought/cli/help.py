"""The text of `--help`, for the command and for each verb."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from forethought.cli.grammar import HELP, Option, Verb
from forethought.cli.terminal import columns
from forethought.reports.terminal.table import table

ABOUT = (
    "Answer questions with open language models, and show the cost of each answer.",
    'The default verb is `ask`: forethought "What is an eclipse?"',
)


def command_help(verbs: Mapping[str, str], flags: Iterable[Option[Any]]) -> str:
    """Help of the command: its flags, and each verb with its summary."""
    sections = {
        "Options": [_row(option) for option in [*flags, HELP]],
        "Commands": [*verbs.items()],
    }
    return _page("forethought [OPTIONS] COMMAND [ARGS]...", ABOUT, sections)


def verb_help(name: str, summary: str, verb: Verb) -> str:
    """Help of one verb."""
    argument = verb.argument
    sections = {"Arguments": [_row(argument)]} if argument else {}
    sections["Options"] = [_row(option) for option in [*verb.options, HELP]]
    usage = f"forethought {name} [OPTIONS] {_place(argument) if argument else ''}".rstrip()
    return _page(usage, (summary, verb.details), sections)


def _page(usage: str, about: Iterable[str], sections: Mapping[str, list[tuple[str, str]]]) -> str:
    width = max(min(columns(sys.stdout), 80) - 2, 50)
    told = [textwrap.indent(textwrap.fill(text, width - 2), "  ") for text in about if text]
    shown = [f"{name}:\n{table(rows, width=width)}" for name, rows in sections.items()]
    return "\n\n".join([f"Usage: {usage}", *told, "\n".join(shown[:1]), *shown[1:]])


def _place(argument: Option[Any]) -> str:
    """An argument in the usage line; square brackets mark an optional one."""
    named = f"{{{argument.name}}}" if argument.required else f"[{argument.name}]"
    return named + ("..." if argument.repeats else "")


def _row(option: Option[Any]) -> tuple[str, str]:
    # The short spelling first, as in other tools.
    spellings = ", ".join(sorted(option.spellings, key=len))
    takes = f" <{option.takes}>" if option.takes else ""
    dots = "..." if option.repeats else ""
    notes = [
        *(["default: " + str(option.default)] if _tells(option.default) else []),
        *(["{}<=x<={}".format(*option.limits)] if option.limits else []),
        *(["required"] if option.required else []),
    ]
    told = f"  [{'; '.join(notes)}]" if notes else ""
    return spellings + takes + dots, option.help + told


def _tells(default: object) -> bool:
    return default not in (None, "", (), False) or (default == 0 and not isinstance(default, bool))
