"""What the harness must see: an accepted mutant, a refused one, and one of every failure."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

from forethought.contracts.errors import DamagedFileError


def planted_mutant(random: Random, folder: Path) -> Callable[[], object]:
    """By seed: as the first number that it gives tells."""
    seeds = {Random(seed).random(): seed for seed in range(6)}
    return _PLANTED[seeds[random.random()]]


def _refused() -> None:
    raise DamagedFileError("it is damaged", "fetch it again")


def _untyped() -> None:
    raise KeyError("untyped")


def _endless() -> None:
    while True:
        pass


def _large() -> int:
    return len(bytearray(1_100 << 20))


_PLANTED: tuple[Callable[[], object], ...] = (int, _refused, _untyped, os.abort, _endless, _large)
