"""The grammar of a command line: options, verbs and a parser.

A verb is a table of options, so help, completion and errors import no verb. Options and arguments
may come in any order; `--` ends the options.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from forethought.contracts.errors import UsageError

T = TypeVar("T")
Value = TypeVar("Value", covariant=True)


class Option(NamedTuple, Generic[Value]):
    """A flag, or an argument if its spelling has no dash."""

    spellings: tuple[str, ...]
    help: str
    default: Value
    """The value if the line gives none."""
    takes: str = "str"
    """str, int or float; empty for a switch."""
    repeats: bool = False
    required: bool = False
    limits: tuple[int, int] | None = None
    """The minimum and maximum of a whole number."""
    among: str = ""
    """The kind of name that completes a value, as `cli/completion.py` lists them."""
    in_recipe: bool = False
    """Whether the flag sets the field of `Recipe` that has its name."""

    @property
    def name(self) -> str:
        """The name in code and in JSON."""
        return self.spellings[0].lstrip("-").replace("-", "_")


class Verb(NamedTuple):
    """The options of a verb, and at most one argument, which may repeat."""

    details: str
    """Help below the summary."""
    argument: Option[Any] | None
    options: tuple[Option[Any], ...]

    @property
    def takes(self) -> dict[str, Option[Any]]:
        """Argument and options by name."""
        given = [self.argument] if self.argument else []
        return {option.name: option for option in [*given, *self.options]}


class Given:
    """The values on a command line, and the defaults of all other options."""

    def __init__(self, verb: Verb, values: dict[str, Any]) -> None:
        self._values = {name: option.default for name, option in verb.takes.items()} | values
        self.recipe: dict[str, Any] = {
            name: value for name, value in values.items() if verb.takes[name].in_recipe
        }
        """The fields of `Recipe` that the line states; it leaves the others as they are."""

    def __getitem__(self, option: Option[T]) -> T:
        value: T = self._values[option.name]
        return value

    def __contains__(self, option: Option[Any]) -> bool:
        return option.name in self._values


def switch(*spellings: str, help: str) -> Option[bool]:
    """An option without a value."""
    return Option(spellings, help, False, takes="")


def text(*spellings: str, help: str, default: str = "", among: str = "") -> Option[str]:
    """An option that takes a text."""
    return Option(spellings, help, default, among=among)


def texts(*spellings: str, help: str, among: str = "") -> Option[tuple[str, ...]]:
    """An option that takes a text and may be repeated."""
    return Option(spellings, help, (), repeats=True, among=among)


def maybe(*spellings: str, help: str, among: str = "") -> Option[str | None]:
    """An option that takes a text; None, and not an empty text, if absent."""
    return Option(spellings, help, None, among=among)


def whole(
    *spellings: str, help: str, default: int, limits: tuple[int, int] | None = None
) -> Option[int]:
    """An option that takes a whole number."""
    return Option(spellings, help, default, "int", limits=limits)


def number(*spellings: str, help: str, default: float) -> Option[float]:
    """An option that takes a number."""
    return Option(spellings, help, default, "float")


HELP = switch("--help", "-h", help="Show this message and exit.")


def parse(verb: Verb, words: Sequence[str]) -> Given | None:
    """Parse `words` for a verb; None if they ask for its help."""
    by_spelling = {word: option for option in (*verb.options, HELP) for word in option.spellings}
    values: dict[str, Any] = {}
    for option, value in _read(by_spelling, verb.argument, iter(words)):
        if option == HELP:
            return None
        values[option.name] = _joined(option, values.get(option.name, ()), value)
    if verb.argument and verb.argument.required and verb.argument.name not in values:
        raise UsageError(f"missing argument {verb.argument.name!r}")
    return Given(verb, values)


def _joined(option: Option[Any], before: tuple[Any, ...], value: Any) -> Any:
    return (*before, value) if option.repeats else value


def _read(
    known: dict[str, Option[Any]], argument: Option[Any] | None, words: Iterator[str]
) -> Iterator[tuple[Option[Any], Any]]:
    """Yield each option with its value, then the arguments."""
    plain: list[str] = []
    for word in words:
        if word == "--":
            plain += words
        elif word.startswith("--"):
            yield _long(known, word, words)
        elif word.startswith("-") and word != "-":
            yield from _short(known, word, words)
        else:
            plain.append(word)
    left_over = plain if argument is None else [] if argument.repeats else plain[1:]
    if left_over:
        raise UsageError(f"got unexpected extra argument(s) ({' '.join(left_over)})")
    yield from ((argument, value) for value in plain if argument)


def _long(
    known: dict[str, Option[Any]], word: str, words: Iterator[str]
) -> tuple[Option[Any], Any]:
    """`--name`, `--name value` or `--name=value`."""
    spelled, equals, value = word.partition("=")
    option = _known(known, spelled)
    if option.takes:
        return option, _value(option, spelled, value if equals else None, words)
    if equals:
        raise UsageError(f"option {spelled!r} does not take a value")
    return option, True


def _short(
    known: dict[str, Option[Any]], word: str, words: Iterator[str]
) -> Iterator[tuple[Option[Any], Any]]:
    """`-q`, several such as `-qv`, `-m value` or `-mvalue`."""
    for at, letter in enumerate(word[1:], 2):
        option = _known(known, f"-{letter}")
        if option.takes:
            yield option, _value(option, f"-{letter}", word[at:] or None, words)
            return
        yield option, True


def _known(known: dict[str, Option[Any]], spelled: str) -> Option[Any]:
    if spelled not in known:
        import difflib

        near = difflib.get_close_matches(spelled, [one for one in known if one[:2] == "--"])
        hint = f"did you mean {' or '.join(sorted(near))}?" if near else ""
        raise UsageError(f"no such option: {spelled}", hint)
    return known[spelled]


def _value(option: Option[Any], spelled: str, value: str | None, words: Iterator[str]) -> Any:
    found = next(words, None) if value is None else value
    if found is None:
        raise UsageError(f"option {spelled!r} requires an argument")
    try:
        read = _KINDS[option.takes](found)
    except ValueError:
        kind = "a whole number" if option.takes == "int" else "a number"
        raise UsageError(f"invalid value for {spelled!r}: {found!r} is not {kind}") from None
    least, most = option.limits or (read, read)
    if not (least <= read <= most or option.limits is None):
        raise UsageError(f"invalid value for {spelled!r}: {read} is not {least} to {most}")
    return read


_KINDS = {"str": str, "int": int, "float": float}
