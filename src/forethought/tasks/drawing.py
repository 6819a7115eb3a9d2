"""Random, distinct questions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from random import Random
from typing import TypeVar

from forethought.contracts.errors import BadParameterError

_TRIES = 1000

Drawn = TypeVar("Drawn", bound=Hashable)


def distinct(
    task: str, seed: int, count: int, draw: Callable[[Random], Drawn]
) -> Iterator[tuple[str, Drawn]]:
    """`count` distinct draws with their identifiers; a greater count keeps the first ones.

    BadParameterError if no further distinct draw is found.
    """
    random = Random(f"{task} {seed}")
    seen: set[Drawn] = set()
    for number in range(count):
        fresh = next((one for _ in range(_TRIES) if (one := draw(random)) not in seen), None)
        if fresh is None:
            raise BadParameterError(
                f"count={count} is too many: {number} different questions of {task} "
                "were found with these settings",
                f"give count={number} or less, or settings that leave more to choose",
            )
        seen.add(fresh)
        yield f"{task}-{number}", fresh
