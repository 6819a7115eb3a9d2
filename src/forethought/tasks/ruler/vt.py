"""Variable tracking: the variables that get a value along a chain of assignments.

Paper: RULER, variable tracking, arXiv:2404.06654
Score: the share of the chain's variables that occur in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from string import ascii_uppercase

from forethought.contracts.errors import BadParameterError
from forethought.contracts.parameters import Count, CountOrZero
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.ruler._haystack import units
from forethought.tasks.ruler._length import depths, dice, fitted, placed
from forethought.tasks.ruler._scores import share_found

_VALUES = range(10_000, 100_000)


@dataclass(frozen=True)
class VariableTracking(Task):
    """Chains of assignments spread over a text, in order; one chain is asked for."""

    tokens: Count = 2000
    """Most tokens of document and question together; the document fills them."""
    count: Count = 10
    """Number of questions; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""
    hops: Count = 4
    """Assignments from variable to variable; a chain has one more variable."""
    chains: Count = 1
    """Chains in the text, each with its own value."""
    haystack: str = "noise"
    """Text around the needles: noise, prose, or the path of a text file."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer: eight per name."""
        return 8 * (self.hops + 1)

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; BadParameterError for too many chains."""
        if self.chains > len(_VALUES):
            raise BadParameterError(
                f"chains={self.chains} is too many", f"give chains={len(_VALUES)} or less"
            )
        for number in range(self.count):
            yield self._question(number, measure)

    def check(self, question: Question, answer: str) -> float:
        """The share of the chain's variables that occur in the answer."""
        return share_found(question, answer)

    def _question(self, number: int, measure: Measure) -> Question:
        random = dice("vt", self.seed, number)
        names = _names(random, self.chains * (self.hops + 1))
        chains = [names[start :: self.chains] for start in range(self.chains)]
        values = random.sample(_VALUES, self.chains)
        lines = [
            _line(chain, hop, value)
            for hop in range(self.hops + 1)
            for chain, value in zip(chains, values, strict=True)
        ]
        at = sorted(depths("vt", self.seed, number, len(lines)))
        hay = units(self.haystack, random)

        def made(length: int) -> Question:
            return Question(
                identifier=f"vt-{number}",
                text=_text(values[0], self.hops + 1),
                document="".join(placed(hay(length), lines, at)).rstrip(),
                answers=tuple(chains[0]),
                data={"depths": at[:: self.chains]},
            )

        return fitted(made, self.tokens, measure, least=1)


def _names(random: Random, count: int) -> list[str]:
    seen: dict[str, None] = {}
    while len(seen) < count:
        seen["".join(random.choices(ascii_uppercase, k=5))] = None
    return list(seen)


def _line(chain: list[str], hop: int, value: int) -> str:
    return f"VAR {chain[hop]} = {f'VAR {chain[hop - 1]}' if hop else value}. "


def _text(value: int, names: int) -> str:
    return (
        "Variables are assigned in the text above, some of them from other variables. "
        f"Find all variables that have the value {value}: the one that is given it, the one that "
        f"is given that variable, and so on, {names} in all. "
        "Answer with their names only, separated by commas."
    )
