"""What a recipe's samples say of the questions of a task: one score each."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forethought.contracts.errors import UsageError
from forethought.contracts.questions import Sample

Answers = Mapping[str, "Answered"]
"""A recipe's answered questions, by task."""


@dataclass(frozen=True)
class Answered:
    """The questions of one task that one recipe answered."""

    scores: Mapping[str, float]
    """By question: the mean over its answers."""
    clusters: Mapping[str, str]
    """By question."""


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


def _answered(samples: Sequence[Sample]) -> Answered:
    numbered: dict[str, dict[int, float]] = defaultdict(dict)
    clusters: dict[str, str] = {}
    for sample in samples:
        _check_new(sample, numbered[sample.question], clusters)
        numbered[sample.question][sample.number] = sample.score
        clusters[sample.question] = sample.cluster
    scores = {
        question: math.fsum(scores.values()) / len(scores)
        for question, scores in sorted(numbered.items())
    }
    return Answered(scores, clusters)


def _check_new(sample: Sample, known: Mapping[int, float], clusters: Mapping[str, str]) -> None:
    where = f"question {sample.question} of {sample.task} by {sample.recipe}"
    if sample.number in known:
        raise UsageError(
            f"answer {sample.number} to {where} is there twice",
            "leave out samples of other data under the same names",
        )
    if clusters.get(sample.question, sample.cluster) != sample.cluster:
        raise UsageError(f"answers to {where} name two clusters", "leave out samples of other data")
