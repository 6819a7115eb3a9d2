"""A conditional probability of two variables that were never observed together.

Paper: Why think step by step, arXiv:2304.03843 (there models are trained on the observations;
    here they are in the prompt, of a smaller net)
Score: 1 minus the squared difference of the answered probability and the true conditional
    (conditional) or the probability without the condition (marginal); or 1 for any (parsed).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Annotated, Literal

from forethought.contracts.parameters import Count, CountOrZero, Whole
from forethought.contracts.questions import Measure, Question, Task
from forethought.tasks.answer_lines import answers
from forethought.tasks.bayes_nets._net import Values, separating
from forethought.tasks.bayes_nets._world import World, observations, world

_NUMBER = re.compile(r"(?:[01]?\.\d{1,50}|[01])")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,50})?) ?%")
_FORM = (
    "On the last line, write the word Answer, a colon and this probability, a number from 0 to 1 "
    "with two decimals. Write nothing else."
)
_STEPS = (
    "First write a likely value in this case for each of {}: in this order, and one a line, {}."
)
_FREE = (
    "First write likely values in this case for other variables that connect {} with {}, one a "
    "line, like X0=1, beginning near {}."
)


@dataclass(frozen=True)
class Locality(Task):
    """Partial observations of a random Bayes net, and a query about a pair that was held out."""

    nodes: Annotated[int, Whole(5, 16)] = 10
    """Number of variables, and of edges between them."""
    lines: Count = 100
    """Number of observations."""
    experience: Literal["local", "full", "wrong"] = "local"
    """Variables of an observation: near each other (local), all (full), or near each other in
    another net (wrong)."""
    steps: Literal["none", "scaffold", "irrelevant", "free"] = "none"
    """Variables to estimate before the answer: none, those that separate the pair (scaffold), as
    many others (irrelevant), or those that the model chooses (free)."""
    count: Count = 10
    """Number of questions, each on its own net; a greater count keeps the first ones."""
    seed: CountOrZero = 0
    """Seed of the questions."""
    score: Literal["conditional", "marginal", "parsed"] = "conditional"
    """What scores: nearness to the conditional or to the marginal, or any probability."""

    @property
    def answer_tokens(self) -> int:
        """Most tokens of an answer: eight for each variable that may be named."""
        return 24 + (0 if self.steps == "none" else 8 * self.nodes)

    def questions(self, measure: Measure) -> Iterator[Question]:
        """The questions in order; their nets depend on the seed and `nodes` alone."""
        for number in range(self.count):
            random = Random(f"locality {self.nodes} {self.seed} {number}")
            seen = world(random, self.nodes)
            named = self._named(random, seen)
            lines = islice(observations(random, seen, self.experience), self.lines)
            yield Question(
                identifier=f"locality-{number}",
                text=self._text(seen, named),
                document="\n".join(map(_line, lines)),
                answers=(f"{seen.truth:.6f}",),
                data={"conditional": seen.truth, "marginal": seen.marginal},
            )

    def check(self, question: Question, answer: str) -> float:
        """The score of an answer; 0 for an answer without a probability."""
        found = _probability(answer)
        if found is None:
            return 0.0
        if self.score == "parsed":
            return 1.0
        right: float = question.data[self.score]
        return 1 - (found - right) ** 2

    def parsed(self, question: Question, answer: str) -> bool:
        """Whether the answer states a probability."""
        return _probability(answer) is not None

    @property
    def scores_unparsable(self) -> bool:
        """Only with `parsed`: the paper's models always state a probability, and a squared
        difference needs one."""
        return self.score == "parsed"

    def _named(self, random: Random, seen: World) -> list[int]:
        """The variables to estimate first; the draws are the same for all settings."""
        scaffold = separating(seen.net, seen.target, seen.condition)
        apart = {*range(self.nodes)} - {seen.target, seen.condition, *scaffold}
        irrelevant = random.sample(sorted(apart), min(len(scaffold), len(apart)))
        return {"scaffold": scaffold, "irrelevant": irrelevant}.get(self.steps, [])

    def _text(self, seen: World, named: list[int]) -> str:
        target, condition = f"X{seen.target}", f"X{seen.condition}"
        names = [f"X{one}" for one in named]
        steps = [_STEPS.format(", ".join(names), f"like {names[0]}=1")] if names else []
        if self.steps == "free":
            steps = [_FREE.format(condition, target, condition)]
        asked = (
            f"Each line above observes some of the variables X0 to X{self.nodes - 1} in one case; "
            f"a variable is 0 or 1. In a new case, {condition} is {seen.value}. How probable is "
            f"it that {target} is 1?"
        )
        return " ".join([asked, *steps, _FORM])


def _line(values: Values) -> str:
    return ", ".join(f"X{one}={value}" for one, value in values.items())


def _probability(answer: str) -> float | None:
    """The probability on the last answer line, or of an answer of nothing else; None without."""
    stated = answers(answer) or [answer.strip()]
    told = stated[-1].rpartition("=")[2].strip(" ~≈*`$").rstrip(". ")
    if _NUMBER.fullmatch(told):
        found = float(told)
    elif percent := _PERCENT.fullmatch(told):
        found = float(percent[1]) / 100
    else:
        return None
    return found if found <= 1 else None
