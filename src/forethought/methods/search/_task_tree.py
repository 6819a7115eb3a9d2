"""Trees of tasks in JSON: their schema, and the lists of subtasks that a growing text completes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from forethought.contracts.candidates import Spans


def tree_schema(longest: int) -> str:
    """The JSON schema of a reasoning tree and its answer; texts have `longest` characters at most.

    The order of the fields is fixed, so each end of a list is seen.
    """
    text = {"type": "string", "maxLength": longest}
    tasks = {"type": "array", "items": {"$ref": "#/$defs/task"}, "minItems": 1}
    task = _record({"thought": text, "subtasks": tasks, "conclusion": text}, optional="subtasks")
    whole = _record({"reasoning": tasks, "answer": text})
    return json.dumps({**whole, "$defs": {"task": task}})


def _record(properties: dict[str, object], optional: str = "") -> dict[str, object]:
    required = [name for name in properties if name != optional]
    kind = {"type": "object", "properties": properties, "required": required}
    return {**kind, "additionalProperties": False}


@dataclass
class TaskTree:
    """Reads a tree as it grows, character by character."""

    finished: list[tuple[int, int]] = field(default_factory=list)
    """The contents of each finished list of subtasks, without brackets, in order of their ends."""
    tasks: int = 0
    """Tasks begun so far."""
    _read: int = 0
    _open: list[int] = field(default_factory=list)
    """The first character of each list that is open."""
    _quoted: bool = False
    _escaped: bool = False

    def grow(self, text: str) -> None:
        """Read the rest of a text that begins as before."""
        for place in range(self._read, len(text)):
            self._take(place, text[place])
        self._read = len(text)

    def _take(self, place: int, sign: str) -> None:
        if self._escaped:
            self._escaped = False
        elif sign == '"':
            self._quoted = not self._quoted
        elif self._quoted:
            self._escaped = sign == "\\"
        elif sign == "[":
            self._open.append(place + 1)
        elif sign == "{" and self._open:
            self.tasks += 1
        elif sign == "]":
            first = self._open.pop()
            if self._open:  # the outermost list holds the conclusions of the answer
                self.finished.append((first, place))


def dropped_spans(finished: Iterable[tuple[int, int]], buffer: int) -> Spans:
    """The lists that leave the memory: all but the newest `buffer`, without lists inside others."""
    ordered = list(finished)
    gone = ordered[: max(0, len(ordered) - buffer)]
    inner = {one for one in gone for other in gone if other[0] < one[0] and one[1] < other[1]}
    return tuple(one for one in gone if one not in inner)
