"""The samples that an evaluation wants, and the answers that they get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from forethought.contracts.questions import Question, Task
from forethought.recipes.identity import revisions, sample_key, sample_seed
from forethought.recipes.recipe import Recipe
from forethought.sessions.batch_question import BatchQuestion


@dataclass(frozen=True)
class WantedSample:
    """One sample of an evaluation: a recipe, a question and the number of the answer."""

    key: str
    recipe: Recipe
    """The recipe as run: with the task's answer length and a seed of its own."""
    name: str
    """Label of the recipe in tables."""
    task: str
    """Spelling of the task."""
    origin: Task
    question: Question
    number: int

    @property
    def ask(self) -> BatchQuestion:
        """The batch entry that runs this sample."""
        question = self.question
        return BatchQuestion(self.recipe, question.text, question.document, self.origin, question)


@dataclass(frozen=True)
class SampleAnswer:
    """The answer to a wanted sample, not yet scored."""

    wanted: WantedSample
    run: dict[str, Any]
    """The document of the run."""
    made: Mapping[str, str]
    """Facts for the provenance that this process does not know."""


def wanted_sample(
    recipe: Recipe, name: str, task: Task, question: Question, number: int
) -> WantedSample:
    """The sample of a recipe for a question of the task spelled `name`."""
    # A stated --max-tokens takes precedence over the task's answer length.
    given = recipe.max_tokens != Recipe.max_tokens
    settled = recipe if given else replace(recipe, max_tokens=task.answer_tokens)
    # Searches that sample alike share a seed, so they choose among the same candidates.
    drawn_by = settled if settled.plain else settled.asking
    seed = sample_seed(drawn_by.to_json(), name, question.identifier, number)
    key = sample_key(settled.to_json(), name, question, number, revisions(recipe.label))
    asked = replace(settled, seed=seed)
    return WantedSample(key, asked, recipe.label, name, task, question, number)


def by_question(wanted: Sequence[WantedSample]) -> list[list[WantedSample]]:
    """The samples, grouped by task and question."""
    groups: dict[tuple[str, str], list[WantedSample]] = {}
    for one in wanted:
        groups.setdefault((one.task, one.question.identifier), []).append(one)
    return list(groups.values())
