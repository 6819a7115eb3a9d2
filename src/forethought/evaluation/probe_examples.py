"""Examples for a probe: places in stored answers, their hidden states and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forethought.beliefs.probes.labels import difficulty, win_or_tie
from forethought.contracts.probing import AT_PROMPT, ProbeKind
from forethought.contracts.questions import Question
from forethought.evaluation.draws import Draws
from forethought.evaluation.probe_states import PromptStates, StateReader
from forethought.models.tokenization.tokenizer import Tokenizer

Floats = NDArray[np.float64]
ALPHA, GAMMA = 0.5, 0.2
"""Least accuracy of a normal question, and the accuracy below which one is hard."""


@dataclass(frozen=True)
class Examples:
    """States [N, hidden], labels [N, classes] and weights [N], with the question of each."""

    states: Floats
    labels: Floats
    weights: Floats
    tasks: tuple[str, ...]
    clusters: tuple[str, ...]

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """The examples of all parts, in order."""
        return cls(
            np.concatenate([part.states for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.weights for part in parts]),
            tuple(task for part in parts for task in part.tasks),
            tuple(cluster for part in parts for cluster in part.clusters),
        )


@dataclass(frozen=True)
class QuestionAnswers:
    """A question and its sampled answers."""

    task: str
    question: Question
    draws: Draws

    @property
    def accuracy(self) -> float:
        """The mean score of the answers."""
        return float(np.mean(self.draws.right))

    @property
    def surprise(self) -> float:
        """The mean negative log-probability of a token, over the answers."""
        return -float(np.mean([one.mean_log_probability for one in self.draws.answers]))


def examples_of(
    kind: ProbeKind,
    asked: Sequence[QuestionAnswers],
    reader: StateReader,
    rng: np.random.Generator,
) -> Iterator[Examples]:
    """The examples of each question, after one prefill of it."""
    classes = difficulty_labels(asked) if kind == "difficulty" else {}
    for number, one in enumerate(asked):
        prompt = reader.prompt(one.question)
        if kind in AT_PROMPT:
            label = classes[number] if classes else np.array([one.accuracy])
            yield _examples(one, prompt.end[None], label[None], np.ones(1))
        else:
            yield _beginnings(kind, one, prompt, reader.model.tokenizer, rng)


def difficulty_labels(asked: Sequence[QuestionAnswers]) -> Mapping[int, Floats]:
    """[3] for each question: its class.

    The most surprise of a normal question is the median of those that are right often enough.
    """
    right = [one.surprise for one in asked if one.accuracy >= ALPHA]
    beta = float(np.median(right)) if right else 0.0
    found = [difficulty(one.accuracy, one.surprise, ALPHA, beta, GAMMA) for one in asked]
    return {number: np.eye(3)[place] for number, place in enumerate(found)}


def _beginnings(
    kind: ProbeKind,
    one: QuestionAnswers,
    prompt: PromptStates,
    tokenizer: Tokenizer,
    rng: np.random.Generator,
) -> Examples:
    """A state at each end of a line, and at the end of the answer; each answer counts alike."""
    values = win_or_tie(one.draws.right) if kind == "restart-gain" else np.array(one.draws.right)
    counts: dict[tuple[str, str], int] = {}
    labels: dict[tuple[str, str], float] = {}
    for answer, value in zip(one.draws.answers, values, strict=True):
        key = answer.text, answer.finish
        counts[key] = counts.get(key, 0) + 1
        labels[key] = float(value)
    keys = [key for key in counts if key[0]]
    tokens = [tokenizer.encode(text) for text, _ in keys]
    at = [
        cuts(tokenizer, own, ended=finish == "stop", extra=_extra(kind, len(own), rng))
        for own, (_, finish) in zip(tokens, keys, strict=True)
    ]
    states = prompt.behind(tokens, at) if keys else []
    rows = [
        (state, labels[key], counts[key] / len(own))
        for key, own in zip(keys, states, strict=True)
        for state in own
    ]
    found = np.array([state for state, _, _ in rows]).reshape(len(rows), len(prompt.end))
    told = np.array([[label] for _, label, _ in rows]).reshape(len(rows), 1)
    return _examples(one, found, told, np.array([weight for _, _, weight in rows]))


def _extra(kind: ProbeKind, length: int, rng: np.random.Generator) -> list[int]:
    """A random token at which an answer is judged in the middle of a line."""
    if kind != "restart-gain" or length < 2:
        return []
    return [int(rng.integers(1, length))]


def cuts(
    tokenizer: Tokenizer, tokens: Sequence[int], *, ended: bool, extra: Sequence[int] = ()
) -> list[int]:
    """The tokens whose states an answer is judged by: those that end a line, and the last.

    An answer that `ended` has an end token behind its last one.
    """
    lines = [at for at, token in enumerate(tokens) if b"\n" in tokenizer.bytes_of(token)]
    last = len(tokens) if ended else len(tokens) - 1
    return sorted({*lines, *extra, last})


def _examples(one: QuestionAnswers, states: Floats, labels: Floats, weights: Floats) -> Examples:
    count, cluster = len(states), f"{one.task} {one.draws.cluster}"
    return Examples(states, labels, weights, (one.task,) * count, (cluster,) * count)
