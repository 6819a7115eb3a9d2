"""Costs of a chat template's functions besides reading their arguments.

Functions that produce large output from small input are charged before they run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from forethought.models.chat.template_budget import OverBudgetError, TemplateBudget, weight

LARGEST_NUMBER = 1 << 10
"""Most bits of an integer."""
_METHODS = (
    "capitalize casefold center count endswith expandtabs find format format_map get "
    "index isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric "
    "isprintable isspace istitle isupper items join keys ljust lower lstrip partition "
    "removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split "
    "splitlines startswith strip swapcase title upper values zfill"
)
METHODS = frozenset(_METHODS.split())
"""Methods of strings, lists and dictionaries that a template may call."""
_REFUSED_FILTERS = (
    "filesizeformat forceescape pprint random striptags urlencode urlize wordcount wordwrap xmlattr"
)
REFUSED_FILTERS = frozenset(_REFUSED_FILTERS.split())
"""Filters for web pages, and filters whose cost is unpredictable."""
FREE_FILTERS = frozenset(("attr", "count", "d", "default", "first", "last", "length"))
_FREE_TESTS = (
    "boolean callable defined false filter float integer iterable mapping none number odd "
    "even sameas sequence string test true undefined"
)
FREE_TESTS = frozenset(_FREE_TESTS.split())
"""Filters and tests that take constant time."""

_WIDEST = 1_000  # characters of a format field
_PATH = 16  # parts of an attribute path

Charge = Callable[[TemplateBudget, tuple[Any, ...], Mapping[str, Any]], None]
"""Spends the cost of a call, given its arguments; the first one is the method's or filter's
subject."""


def _whole(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0


def _by_numbers(
    budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """Widths and counts: the output is as long as the numbers say."""
    size = sum(map(_whole, (*arguments[1:], *named.values())))
    budget.spend(size, size)


def _by_lines(budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    text, *rest = arguments
    widths = [*rest, *named.values()]
    wide = max([8, *map(_whole, widths), *(len(one) for one in widths if isinstance(one, str))])
    marks = re.findall(r"[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", str(text))
    budget.spend(0, wide * (len(marks) + 1))


def _by_matches(
    budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """A replacement is written at each match."""
    found = (*arguments, *named.values())
    if len(found) >= 3 and all(isinstance(one, str) for one in found[:3]):
        text, old, new = found[:3]
        budget.spend(0, text.count(old) * len(new))


def _by_parts(budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    text, *rest = arguments
    mark = next((one for one in (*rest, *named.values()) if isinstance(one, str)), "")
    budget.spend(text.count(mark) if mark else len(text) // 2)


def _by_fields(
    budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """Each field of a `str.format` string may print all arguments, padded."""
    form = str(arguments[0])
    bare = form.replace("{{", "").replace("}}", "")
    if re.search(r"\{[^{}]*(\{|[0-9]{4})", bare):
        raise OverBudgetError("it writes a field of unknown or great width")
    _charge_fields(budget, form, form.count("{"), (arguments[1:], dict(named)))


def _by_percent_fields(
    budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """Each field of a percent format may print all arguments, padded."""
    form = str(arguments[0])
    if re.search(r"%[^a-zA-Z%]*(\*|[0-9]{4})", form):
        raise OverBudgetError("it writes a field of unknown or great width")
    _charge_fields(budget, form, form.count("%"), (arguments[1:], dict(named)))


def _charge_fields(budget: TemplateBudget, form: str, fields: int, shown: Any) -> None:
    size = weight(shown, budget.steps)
    budget.spend(size.values + len(form), fields * (_WIDEST + size.characters))


def _members(path: int | None = None) -> Charge:
    """The charge of a filter that iterates; `path` is the position of its attribute argument."""

    def charge(
        budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]
    ) -> None:
        placed = arguments[1:][path : path + 1] if path is not None else ()
        paths = [named.get("attribute"), *placed]
        if any(isinstance(one, str) and one.count(".") > _PATH for one in paths):
            raise OverBudgetError(f"it looks for an attribute of more than {_PATH} parts")
        if arguments and isinstance(arguments[0], str):
            budget.spend(len(arguments[0]))

    return charge


def _sums(budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Summing lists copies the partial sum at every step."""
    _members(0)(budget, arguments, named)
    if any(isinstance(one, list | tuple) for one in (*arguments[1:], *named.values())):
        raise OverBudgetError("it adds up lists")


METHOD_CHARGES: dict[str, Charge] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _by_numbers),
    **dict.fromkeys(("format", "format_map"), _by_fields),
    **dict.fromkeys(("split", "rsplit", "splitlines"), _by_parts),
    "expandtabs": _by_lines,
    "replace": _by_matches,
}
FILTER_CHARGES: dict[str, Charge] = {
    **dict.fromkeys(("batch", "center", "round", "slice", "truncate"), _by_numbers),
    **dict.fromkeys(("items", "list", "map", "reject", "reverse", "select"), _members()),
    **dict.fromkeys(("groupby", "rejectattr", "selectattr"), _members(0)),
    **dict.fromkeys(("join", "max", "min", "unique"), _members(1)),
    "dictsort": _members(),
    "format": _by_percent_fields,
    "indent": _by_lines,
    "replace": _by_matches,
    "sort": _members(2),
    "sum": _sums,
}


def charge_operation(budget: TemplateBudget, sign: str, left: Any, right: Any) -> None:
    """Spend the cost of an arithmetic operation; refuse integers beyond LARGEST_NUMBER."""
    if isinstance(left, int) and isinstance(right, int):
        _check_number(sign, left, right)
    elif isinstance(left, str) and sign == "%":
        _by_percent_fields(budget, (left, right), {})
    elif sign == "+":
        budget.write(*(one for one in (left, right) if isinstance(one, str)))
        budget.spend(sum(len(one) for one in (left, right) if isinstance(one, list | tuple)) // 8)
    elif sign == "*":
        times, many = (left, right) if isinstance(left, int) else (right, left)
        if isinstance(times, int) and isinstance(many, str | list | tuple):
            size = max(times, 0) * len(many)
            budget.spend(0 if isinstance(many, str) else size, size)
    budget.spend(1)


def _check_number(sign: str, left: int, right: int) -> None:
    bits = {
        "*": left.bit_length() + right.bit_length(),
        "**": left.bit_length() * max(right, 0),
        "+": max(left.bit_length(), right.bit_length()),
    }.get(sign, 0)
    if bits > LARGEST_NUMBER:
        raise OverBudgetError("it computes a number of too many digits")


def charged_texts(budget: TemplateBudget, values: Any, between: int) -> Iterator[Any]:
    """Members to be joined into a text; each is charged, with its separator, when consumed."""
    for value in values:
        budget.write(value)
        budget.spend(0, between)
        yield value
