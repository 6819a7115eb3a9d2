"""The list of moves in an answer, such as `moves = [[1, 0, 2], [2, 0, 1]]`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Move = tuple[str, ...]

_STATED = re.compile(r"moves[\"'*`]? ?[=:]", re.IGNORECASE)
_COMMENT = re.compile(r"#[^\n]*")
_TOKEN = re.compile(r"\w+|[^\s\w]")
_QUOTES = str.maketrans(dict.fromkeys("\"'`*", " "))


@dataclass
class _Listed:
    """A list of lists as far as it is read."""

    moves: list[list[str]] = field(default_factory=list)
    complete: int = 0
    """Moves that are closed."""
    closed: bool = False
    readable: bool = True
    """False if the list holds anything but lists of plain words and numbers."""


def moves(answer: str) -> list[Move] | None:
    """The moves of the last closed list of lists; None if there is none, or it is malformed.

    The last "moves =" has precedence over lists elsewhere.
    """
    closed = [one for one in _lists(answer) if one.closed]
    if not closed or not closed[-1].readable:
        return None
    return [tuple(move) for move in closed[-1].moves]


def moves_so_far(text: str) -> list[Move]:
    """The complete moves of the last list, which may be unfinished."""
    lists = _lists(text)
    return [tuple(move) for move in lists[-1].moves[: lists[-1].complete]] if lists else []


def _lists(text: str) -> list[_Listed]:
    """All lists after the last "moves =", or of the whole text; flat ones are left out."""
    stated = [found.end() for found in _STATED.finditer(text)]
    told = _COMMENT.sub("", text[stated[-1] if stated else 0 :]).translate(_QUOTES)
    lists, depth = list[_Listed](), 0
    for token in _TOKEN.findall(told):
        if token in "[(":
            depth += 1
            _open(lists, depth)
        elif token in "])":
            depth = max(0, depth - 1)
            _close(lists, depth)
        elif depth and token != ",":
            _hold(lists[-1], depth, token)
    return [one for one in lists if one.moves or one.readable]


def _open(lists: list[_Listed], depth: int) -> None:
    if depth == 1:
        lists.append(_Listed())
    elif depth == 2:
        lists[-1].moves.append([])
    else:
        lists[-1].readable = False


def _close(lists: list[_Listed], depth: int) -> None:
    if lists and depth == 1:
        lists[-1].complete = len(lists[-1].moves)
    elif lists and depth == 0:
        lists[-1].closed = True


def _hold(one: _Listed, depth: int, token: str) -> None:
    if depth == 2 and token.isalnum():
        one.moves[-1].append(token)
    else:
        one.readable = False
