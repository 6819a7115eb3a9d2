"""How many steps a backtracking matcher takes for a pattern on a text, counted in Python.

The matcher tries what `re` tries and in the same order, without its shortcuts, so that what is
linear here is linear there.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from re import _compiler, _parser  # type: ignore[attr-defined]
from typing import Any

Nodes = Any
Then = Callable[[int], int]
"""From where a part ended, where the whole ends; -1 if it does not match."""

NO = -1
_ANCHORED = ("match", "fullmatch")


class TooManyStepsError(Exception):
    """The matcher took more steps than it may."""


@dataclass
class Matcher:
    """One pattern on one text."""

    pattern: re.Pattern[str]
    text: str
    most: int
    """Steps after which TooManyStepsError is raised."""
    steps: int = 0
    groups: dict[int, tuple[int, int]] = field(default_factory=dict)

    def run(self, method: str, place: int = 0) -> Iterator[tuple[int, int]]:
        """The matches that `method` of the pattern goes through from a place on."""
        nodes = list(_parsed(self.pattern))
        whole = len(self.text) if method == "fullmatch" else None
        while place <= len(self.text):
            self.groups = {}
            end = self._all(nodes, place, lambda at: at if whole in (None, at) else NO)
            if end != NO:
                yield place, end
            if method in _ANCHORED or (method == "search" and end != NO):
                return
            place = max(place + 1, end)

    def _all(self, nodes: Nodes, place: int, then: Then) -> int:
        self.steps += 1
        if self.steps > self.most:
            raise TooManyStepsError
        if not nodes:
            return then(place)
        (kind, given), rest = nodes[0], nodes[1:]
        part = getattr(self, f"_{str(kind).lower()}", None)
        if part is None:
            return self._all(rest, place + 1, then) if self._sign(nodes[0], place) else NO
        return int(part(given, place, lambda at: self._all(rest, at, then)))

    def _sign(self, node: Any, place: int) -> bool:
        self.steps += 1
        return _known(node, self.pattern.flags).match(self.text, place) is not None

    def _subpattern(self, given: Any, place: int, then: Then) -> int:
        number, _, _, inner = given

        def closed(at: int) -> int:
            before = self.groups.get(number)
            self.groups[number] = (place, at)
            end = then(at)
            if end == NO and before is None:
                del self.groups[number]
            elif end == NO:
                self.groups[number] = before
            return end

        return self._all(list(inner), place, then if number is None else closed)

    def _branch(self, given: Any, place: int, then: Then) -> int:
        for inner in given[1]:
            if (end := self._all(list(inner), place, then)) != NO:
                return end
        return NO

    def _max_repeat(self, given: Any, place: int, then: Then) -> int:
        least, most, inner = given
        if len(inner) == 1 and getattr(self, f"_{str(inner[0][0]).lower()}", None) is None:
            stop = place
            while stop - place < most and self._sign(inner[0], stop):
                stop += 1
            return self._first(range(stop, place + least - 1, -1), then)
        return self._again(list(inner), 0, least, most, place, then)

    def _first(self, places: range, then: Then) -> int:
        for place in places:
            if (end := then(place)) != NO:
                return end
        return NO

    def _again(
        self, inner: Nodes, count: int, least: int, most: int, place: int, then: Then
    ) -> int:
        if count < most:

            def more(at: int) -> int:
                if at == place:
                    return NO
                return self._again(inner, count + 1, least, most, at, then)

            if (end := self._all(inner, place, more)) != NO:
                return end
        return then(place) if count >= least else NO

    def _min_repeat(self, given: Any, place: int, then: Then) -> int:
        least, most, inner = given
        for count in range(most + 1):
            if count >= least and (end := then(place)) != NO:
                return end
            if not self._sign(inner[0], place):
                return NO
            place += 1
        return NO

    def _at(self, given: Any, place: int, then: Then) -> int:
        found = _single(("AT", given), self.pattern.flags).match(self.text, place)
        return then(place) if found else NO

    def _assert(self, given: Any, place: int, then: Then) -> int:
        return then(place) if self._looks(given, place) else NO

    def _assert_not(self, given: Any, place: int, then: Then) -> int:
        return NO if self._looks(given, place) else then(place)

    def _looks(self, given: Any, place: int) -> bool:
        direction, inner = given
        start = place if direction > 0 else place - inner.getwidth()[0]
        return start >= 0 and self._all(list(inner), start, lambda at: at) != NO

    def _groupref(self, given: Any, place: int, then: Then) -> int:
        if given not in self.groups:
            return NO
        said = self.text[slice(*self.groups[given])]
        self.steps += len(said)
        return then(place + len(said)) if self.text.startswith(said, place) else NO

    def _groupref_exists(self, given: Any, place: int, then: Then) -> int:
        number, yes, no = given
        return self._all(list((yes if number in self.groups else no) or ()), place, then)


@dataclass
class CountingPattern:
    """A pattern that works as its own, and counts the steps."""

    pattern: re.Pattern[str]
    most: int
    steps: int = 0

    def __getattr__(self, method: str) -> Any:
        real = getattr(self.pattern, method)
        if not callable(real):
            return real

        def counted(*given: Any, **named: Any) -> Any:
            text, *rest = given[method in ("sub", "subn") :]
            matcher = Matcher(self.pattern, text, self.most - self.steps)
            place = rest[0] if rest and method in ("search", "match", "finditer") else 0
            trace = sys.gettrace()
            sys.settrace(None)  # Who counts lines leaves out this file's.
            try:
                for _ in matcher.run(method, place):
                    pass
            finally:
                sys.settrace(trace)
            self.steps += matcher.steps
            return real(*given, **named)

        return counted


_SINGLES: dict[str, re.Pattern[str]] = {}
_KNOWN: dict[tuple[int, int], tuple[Any, re.Pattern[str]]] = {}
"""By a node's identity and flags: the node, which thus stays what it is, and its pattern."""
_PARSED: dict[re.Pattern[str], Any] = {}


def _parsed(pattern: re.Pattern[str]) -> Any:
    if pattern not in _PARSED:
        _PARSED[pattern] = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    return _PARSED[pattern]


def _known(node: Any, flags: int) -> re.Pattern[str]:
    """As `_single`, without spelling a node that was seen before."""
    key = (id(node), flags)
    if key not in _KNOWN:
        _KNOWN[key] = (node, _single(node, flags))
    return _KNOWN[key][1]


def _single(node: Any, flags: int) -> re.Pattern[str]:
    """A pattern of one node alone, compiled by `re` itself."""
    key = f"{node} {flags}"
    if key not in _SINGLES:
        kept = _parser.SubPattern(_parser.State())
        kept.append((_parser.AT, node[1]) if node[0] == "AT" else node)
        _SINGLES[key] = _compiler.compile(kept, flags)
    return _SINGLES[key]
