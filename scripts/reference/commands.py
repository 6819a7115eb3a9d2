"""The command-line reference, from the tables that parse and print the options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from forethought.cli import verbs
from forethought.cli.command import FLAGS
from forethought.cli.grammar import HELP, Option, Verb
from forethought.cli.main import VERBS
from scripts.reference.markdown import NOTICE, code, page, prose, table

ABOUT = (
    "`forethought VERB --help` prints the same text. Without a verb, `ask` runs. The "
    "[guide](guide.md) explains what the options do; this page lists all of them."
)


def commands_page() -> str:
    """`docs/cli.md`: the flags of the command and every verb with its options."""
    return of(VERBS, tables(), [*FLAGS, HELP])


def tables() -> dict[str, Verb]:
    """The table of every verb, in the order of the command's help."""
    return {name: verbs.table(name) for name in VERBS}


def of(summaries: Mapping[str, str], verbs: Mapping[str, Verb], flags: Iterable[Any]) -> str:
    """The page for these verbs."""
    parts = (part for name, verb in verbs.items() for part in _verb(name, summaries[name], verb))
    return page(NOTICE, "# Command line", ABOUT, _options(flags), *parts)


def _verb(name: str, summary: str, verb: Verb) -> Iterator[str]:
    argument = verb.argument
    usage = f"forethought {name} [OPTIONS] {_place(argument) if argument else ''}".rstrip()
    yield from (f"## {name}", prose(summary), prose(verb.details), f"```console\n{usage}\n```")
    yield _options([*([argument] if argument else []), *verb.options])


def _place(argument: Option[Any]) -> str:
    named = argument.name.upper() if argument.required else f"[{argument.name.upper()}]"
    return named + ("..." if argument.repeats else "")


def _options(options: Iterable[Option[Any]]) -> str:
    return table(["option", "value", "default", "meaning"], (_row(one) for one in options))


def _row(option: Option[Any]) -> list[str]:
    spellings = ", ".join(code(one) for one in sorted(option.spellings, key=len))
    return [spellings, _value(option), _default(option), prose(option.help)]


def _value(option: Option[Any]) -> str:
    kind = {"str": "text", "int": "whole number", "float": "number"}.get(option.takes, "")
    between = "{:,} to {:,}".format(*option.limits) if option.limits else ""
    repeats = "repeatable" if option.repeats else ""
    return ", ".join(part for part in (kind, between, repeats) if part)


def _default(option: Option[Any]) -> str:
    shown = option.default not in (None, "", ()) and option.default is not False
    return "required" if option.required else code(str(option.default)) if shown else ""
