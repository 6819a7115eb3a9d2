"""One problem of a procedure: an instance, and the states after its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from string import ascii_lowercase, digits
from typing import Literal

Form = Literal["string", "sentence", "number", "items"]
"""How states are written: without spaces, as words, as a whole number, or as items of a list."""
ALPHANUMERIC = ascii_lowercase + digits


@dataclass(frozen=True)
class Problem:
    """An instance of a procedure and its states; the state before the first step is left out."""

    given: str
    """The instance, as the prompt shows it."""
    states: tuple[str, ...]
    """The state after every step, as an answer writes it; items have a comma between them."""


@dataclass(frozen=True)
class Family:
    """A procedure, and the law of its instances."""

    rules: str
    """The procedure in words, and the meaning of its states."""
    form: Form
    """How its states are written."""
    draw: Callable[[Random, int], Problem]
    """A random instance that aims at this many steps; it may have more or fewer."""


def items(state: list[str] | list[int]) -> str:
    """A list as an answer writes it."""
    return ", ".join(map(str, state))


def letters(random: Random, count: int) -> str:
    """Lower-case letters."""
    return "".join(random.choices(ascii_lowercase, k=count))


def mixed(random: Random, count: int, share_of_letters: float = 0.5) -> str:
    """Lower-case letters and digits."""
    kinds = random.choices(
        (ascii_lowercase, digits), (share_of_letters, 1 - share_of_letters), k=count
    )
    return "".join(map(random.choice, kinds))
