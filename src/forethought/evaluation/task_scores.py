"""Scores of recipes on the questions of tasks: one mean score per question."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample
from forethought.recipes.identity import QUESTION_HASH

ScoresByTask = Mapping[str, "TaskScores"]
"""Scores of one recipe, by task."""


@dataclass(frozen=True)
class QuestionOrigin:
    """Identity of a question, which all answers to it must share."""

    cluster: str
    data: str
    """Hash of the question's data; empty if the sample does not hold one."""


@dataclass(frozen=True)
class TaskScores:
    """Scores of one recipe on one task."""

    scores: Mapping[str, float]
    """Mean score over the scored answers to each question; a question without one is absent."""
    origins: Mapping[str, QuestionOrigin]
    """Identity of each question."""

    def clusters(self, questions: Sequence[str]) -> list[str]:
        """Clusters of these questions."""
        return [self.origins[name].cluster for name in questions]


def scores_by_task(recipe: str, samples: Sequence[Sample], tasks: Sequence[str]) -> ScoresByTask:
    """Group a recipe's samples by task; UsageError if a task has no sample."""
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
    return {task: _task_scores(answers) for task, answers in found.items()}


def check_same_questions(answers: Mapping[str, ScoresByTask]) -> None:
    """Raise UsageError if two recipes answered different questions under one identifier."""
    known: dict[tuple[str, str], QuestionOrigin] = {}
    for recipe, tasks in answers.items():
        for task, answered in tasks.items():
            for name, origin in answered.origins.items():
                if known.setdefault((task, name), origin) != origin:
                    raise UsageError(
                        f"question {name} of {task} is a different one for {recipe}: "
                        "its data have changed",
                        "run the recipes again on the same questions",
                    )


def _task_scores(samples: Sequence[Sample]) -> TaskScores:
    numbered: dict[str, dict[int, Sample]] = defaultdict(dict)
    origins: dict[str, QuestionOrigin] = {}
    for sample in samples:
        origin = QuestionOrigin(sample.cluster, sample.provenance.get(QUESTION_HASH, ""))
        same = origins.setdefault(sample.question, origin) == origin
        if sample.number in numbered[sample.question] or not same:
            raise UsageError(
                f"answer {sample.number} to question {sample.question} of {sample.task} by "
                f"{sample.recipe} is stored twice, or with different data",
                "start a new file with --results",
            )
        numbered[sample.question][sample.number] = sample
    found = {
        question: [one.score for one in answers.values() if one.scored]
        for question, answers in numbered.items()
    }
    scores = {name: math.fsum(known) / len(known) for name, known in found.items() if known}
    return TaskScores(scores, origins)
