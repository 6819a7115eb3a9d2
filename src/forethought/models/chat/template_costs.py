"""What the functions of a chat template cost beyond reading their arguments.

Few of them make much out of little: those are known here, and charged before they are called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from forethought.models.chat.template_budget import OverBudgetError, TemplateBudget, weight

LARGEST_NUMBER = 1 << 10
"""Bits of an integer."""
_METHODS = (
    "capitalize casefold center count endswith expandtabs find format format_map get "
    "index isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric "
    "isprintable isspace istitle isupper items join keys ljust lower lstrip partition "
    "removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split "
    "splitlines startswith strip swapcase title upper values zfill"
)
METHODS = frozenset(_METHODS.split())
"""Methods of texts, lists and dictionaries that a template may call."""
_REFUSED_FILTERS = (
    "filesizeformat forceescape pprint random striptags urlencode urlize wordcount wordwrap xmlattr"
)
REFUSED_FILTERS = frozenset(_REFUSED_FILTERS.split())
"""Filters for web pages, and those whose cost does not follow from their arguments."""
FREE_FILTERS = frozenset(("attr", "count", "d", "default", "first", "last", "length"))
_FREE_TESTS = (
    "boolean callable defined false filter float integer iterable mapping none number odd "
    "even sameas sequence string test true undefined"
)
FREE_TESTS = frozenset(_FREE_TESTS.split())
"""Filters and tests that take the same time whatever the size of their arguments."""

_WIDEST = 1_000  # characters of a field
_PATH = 16  # parts of an attribute's path

Charge = Callable[[TemplateBudget, tuple[Any, ...], Mapping[str, Any]], None]
"""Spends what a call takes, by its arguments; the first is the value that it is made on."""


def _whole(value: Any) -> int:
    return abs(value) if isinstance(value, int) else 0


def _by_numbers(
    budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """Widths and counts: as much is written as the numbers say."""
    size = sum(map(_whole, (*arguments[1:], *named.values())))
    budget.spend(size, size)


def _by_lines(budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    text, *rest = arguments
    widths = [*rest, *named.values()]
    wide = max([8, *map(_whole, widths), *(len(one) for one in widths if isinstance(one, str))])
    marks = re.findall(r"[\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", str(text))
    budget.spend(0, wide * (len(marks) + 1))


def _by_places(
    budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> None:
    """A replacement is written wherever the old text is found."""
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
    """Each field of a text with braces may show all arguments, padded."""
    form = str(arguments[0])
    bare = form.replace("{{", "").replace("}}", "")
    if re.search(r"\{[^{}]*(\{|[0-9]{4})", bare):
        raise OverBudgetError("it writes a field of unknown or great width")
    _pay_fields(budget, form, form.count("{"), (arguments[1:], dict(named)))


def _by_signs(budget: TemplateBudget, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """The same of a text with percent signs."""
    form = str(arguments[0])
    if re.search(r"%[^a-zA-Z%]*(\*|[0-9]{4})", form):
        raise OverBudgetError("it writes a field of unknown or great width")
    _pay_fields(budget, form, form.count("%"), (arguments[1:], dict(named)))


def _pay_fields(budget: TemplateBudget, form: str, fields: int, shown: Any) -> None:
    size = weight(shown, budget.steps)
    budget.spend(size.values + len(form), fields * (_WIDEST + size.characters))


def _members(path: int | None = None) -> Charge:
    """Of a filter that goes through the members of a value; `path` is where it takes one."""

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
    """Sums of lists copy what they have at every step."""
    _members(0)(budget, arguments, named)
    if any(isinstance(one, list | tuple) for one in (*arguments[1:], *named.values())):
        raise OverBudgetError("it adds up lists")


METHOD_CHARGES: dict[str, Charge] = {
    **dict.fromkeys(("center", "ljust", "rjust", "zfill"), _by_numbers),
    **dict.fromkeys(("format", "format_map"), _by_fields),
    **dict.fromkeys(("split", "rsplit", "splitlines"), _by_parts),
    "expandtabs": _by_lines,
    "replace": _by_places,
}
FILTER_CHARGES: dict[str, Charge] = {
    **dict.fromkeys(("batch", "center", "round", "slice", "truncate"), _by_numbers),
    **dict.fromkeys(("items", "list", "map", "reject", "reverse", "select"), _members()),
    **dict.fromkeys(("groupby", "rejectattr", "selectattr"), _members(0)),
    **dict.fromkeys(("join", "max", "min", "unique"), _members(1)),
    "dictsort": _members(),
    "format": _by_signs,
    "indent": _by_lines,
    "replace": _by_places,
    "sort": _members(2),
    "sum": _sums,
}


def charge_operation(budget: TemplateBudget, sign: str, left: Any, right: Any) -> None:
    """Spend what an operation of arithmetic takes; refuse numbers of too many digits."""
    if isinstance(left, int) and isinstance(right, int):
        _check_number(sign, left, right)
    elif isinstance(left, str) and sign == "%":
        _by_signs(budget, (left, right), {})
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


def paid_texts(budget: TemplateBudget, values: Any, between: int) -> Iterator[Any]:
    """The members that become one text, each paid as it comes with what stands between."""
    for value in values:
        budget.write(value)
        budget.spend(0, between)
        yield value
