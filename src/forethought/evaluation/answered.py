"""What a recipe's samples say of the questions of a task: one score each."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample
from forethought.recipes.identity import QUESTION_HASH

Answers = Mapping[str, "TaskScores"]
"""A recipe's answered questions, by task."""


@dataclass(frozen=True)
class QuestionOrigin:
    """What makes a question the same one for every answer to it."""

    cluster: str
    data: str
    """Its hash; empty where the sample does not tell."""


@dataclass(frozen=True)
class TaskScores:
    """The questions of one task that one recipe answered."""

    scores: Mapping[str, float]
    """By question: the mean over its answers."""
    origins: Mapping[str, QuestionOrigin]
    """By question."""

    def clusters(self, questions: Sequence[str]) -> list[str]:
        """The cluster of each of these questions."""
        return [self.origins[name].cluster for name in questions]


def answers_by_task(recipe: str, samples: Sequence[Sample], tasks: Sequence[str]) -> Answers:
    """The scores of a recipe's samples; an error where it has none of a task."""
    found: dict[str, list[Sample]] = {task: [] for task in tasks}
    for sample in samples:
        if sample.task in found:
            found[sample.task].append(sample)
    for task, answers in found.items():
        if not answers:
            raise UsageError(
                f"{recipe} has no answer to a question of {task}",
                "run it on that task first, or leave one of them out",
            )
    return {task: _answered(answers) for task, answers in found.items()}


def check_alike(answers: Mapping[str, Answers]) -> None:
    """An error where recipes answered questions of one name that are not the same."""
    known: dict[tuple[str, str], QuestionOrigin] = {}
    for recipe, tasks in answers.items():
        for task, answered in tasks.items():
            for name, origin in answered.origins.items():
                if known.setdefault((task, name), origin) != origin:
                    raise UsageError(
                        f"question {name} of {task} was another one for {recipe}: "
                        "its data have changed",
                        "run the recipes anew on the same questions",
                    )


def _answered(samples: Sequence[Sample]) -> TaskScores:
    numbered: dict[str, dict[int, float]] = defaultdict(dict)
    origins: dict[str, QuestionOrigin] = {}
    for sample in samples:
        origin = QuestionOrigin(sample.cluster, sample.provenance.get(QUESTION_HASH, ""))
        same = origins.setdefault(sample.question, origin) == origin
        if sample.number in numbered[sample.question] or not same:
            raise UsageError(
                f"question {sample.question} of {sample.task} by {sample.recipe} is there twice, "
                f"or with other data (answer {sample.number})",
                "its data have changed since: begin a new file with --results",
            )
        numbered[sample.question][sample.number] = sample.score
    scores = {
        question: math.fsum(scores.values()) / len(scores) for question, scores in numbered.items()
    }
    return TaskScores(scores, origins)
