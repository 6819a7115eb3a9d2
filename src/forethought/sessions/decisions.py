"""Typed decisions: probabilities of the permitted answers to questions about one state.

The state stands first in every prompt, so it is prefilled once; the questions continue it side by
side. Nothing is decoded. An answer is a label, which is one token, and its probability is read from
the logits after the prompt. Options without a label each are scored by their texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import ClassVar, Literal

import numpy as np

from forethought.backends.local.choice_scores import label_tokens, option_tokens
from forethought.backends.local.verdicts import verdict_prompt
from forethought.contracts.calibration import Calibration
from forethought.contracts.errors import BadParameterError
from forethought.contracts.search import (
    Ability,
    Candidate,
    ChoiceRule,
    Found,
    Search,
    Strategy,
    verdicts,
)
from forethought.models.model import Model
from forethought.models.tokenization.tokenizer import Tokenizer
from forethought.recipes.recipe import Recipe

DecisionKind = Literal["predicate", "choice", "score"]
YES_NO = ("Yes", "No")
VERDICTS = "self-judge"
"""The confidence method whose calibrations serve predicates."""
_INSTRUCTIONS = {
    "predicate": "Does this hold for the text above?",
    "choice": "Choose the option that fits the text above best.",
    "score": "Choose the level that fits the text above best.",
}
_NOTHING = 1e-300
"""Stands for a probability of zero, whose logarithm is needed."""


@dataclass(frozen=True)
class DecisionOption:
    """A permitted answer."""

    text: str
    description: str = ""


@dataclass(frozen=True)
class DecisionQuestion:
    """A question with its permitted answers; the levels of a score are in ascending order."""

    kind: DecisionKind
    instructions: str = ""
    options: tuple[DecisionOption, ...] = tuple(map(DecisionOption, YES_NO))
    """Of a predicate: yes and no."""

    def __post_init__(self) -> None:
        if not self.options or (self.kind == "predicate" and len(self.options) != 2):
            raise BadParameterError(
                f"a question of type {self.kind} has {len(self.options)} answers",
                "give a predicate two, and others one at least",
            )


@dataclass(frozen=True)
class DecisionPrompt:
    """The prompt of a question, and the answers whose probabilities are read after it."""

    text: str
    choices: tuple[str, ...]
    rule: ChoiceRule
    tokens: tuple[int, ...] = ()
    """The prompt's tokens, with the chat template."""


def decision_prompt(model: Model, state: str, question: DecisionQuestion) -> DecisionPrompt:
    """The prompt of a question about a state: the state, the instructions, the options.

    Options have letters, up to 26 of them; a predicate has Yes and No. Without one token for each
    label, and for more options, the texts of the options are the answers.
    """
    found = _untokenized(model.tokenizer, state, question)
    return replace(found, tokens=verdict_prompt(model, found.text))


def _untokenized(tokenizer: Tokenizer, state: str, question: DecisionQuestion) -> DecisionPrompt:
    labels = YES_NO if question.kind == "predicate" else tuple(ascii_uppercase)
    labels = labels[: len(question.options)]
    labelled = len(labels) == len(question.options) and _distinct(tokenizer, labels)
    head = f"{state}\n\n{question.instructions or _INSTRUCTIONS[question.kind]}"
    if question.kind == "predicate":
        text = f"{head}{_predicate_lines(question)}\n\nAnswer with Yes or No."
        return DecisionPrompt(text, YES_NO, "token" if labelled else "text")
    if not labelled:
        lines = "".join(f"\n- {_described(one)}" for one in question.options)
        texts = tuple(one.text for one in question.options)
        text = f"{head}{lines}\n\nAnswer with one of these, word for word."
        return DecisionPrompt(text, texts, "text")
    lettered = zip(labels, question.options, strict=True)
    lines = "".join(f"\n{label}. {_described(one)}" for label, one in lettered)
    return DecisionPrompt(f"{head}{lines}\n\nAnswer with one letter.", labels, "token")


def _distinct(tokenizer: Tokenizer, labels: Sequence[str]) -> bool:
    """Whether each label is a token, and no two share one."""
    tokens = [label_tokens(tokenizer, label) for label in labels]
    listed = [token for one in tokens for token in one]
    return all(tokens) and len(set(listed)) == len(listed)


def _predicate_lines(question: DecisionQuestion) -> str:
    pairs = zip(YES_NO, question.options, strict=True)
    return "".join(f"\n{label}: {one.description}" for label, one in pairs if one.description)


def _described(one: DecisionOption) -> str:
    return f"{one.text}: {one.description}" if one.description else one.text


@dataclass(frozen=True)
class Decide(Strategy):
    """Reads the probabilities of all answers; the answer is a JSON list of them by question."""

    prompts: tuple[DecisionPrompt, ...]
    needs: ClassVar[frozenset[Ability]] = frozenset({"verdicts"})

    def search(self, start: Candidate, rng: np.random.Generator) -> Search:
        """Ask for all labels at once, then for the texts of each question without labels."""
        labelled = [one for one in self.prompts if one.rule == "token"]
        labels = tuple(dict.fromkeys(label for one in labelled for label in one.choices))
        found: dict[DecisionPrompt, list[float]] = {}
        if labelled:
            texts = [one.text for one in labelled]
            rows = yield from verdicts(texts, labels, rule="token")
            for one, row in zip(labelled, rows, strict=True):
                chances = dict(zip(labels, row, strict=True))
                found[one] = [chances[label] for label in one.choices]
        for one in self.prompts:
            if one.rule == "text" and one not in found:
                (row,) = yield from verdicts([one.text], one.choices, rule="text")
                found[one] = list(row)
        chances_of_all = [found[one] for one in self.prompts]
        return Found(Candidate(steps=(json.dumps(chances_of_all),), finish="stop"))

    @property
    def tokenized(self) -> dict[str, tuple[int, ...]]:
        """The tokens of all prompts, for `LiveRequest.verdict_prompts`."""
        return {one.text: one.tokens for one in self.prompts}

    def longest(self, tokenizer: Tokenizer) -> int:
        """The tokens of the longest prompt with one of its answers."""
        return max(len(one.tokens) + _answer_tokens(tokenizer, one) for one in self.prompts)

    def length(self, tokenizer: Tokenizer) -> int:
        """The tokens that are read for all answers; shared ones count each time."""
        options = [text for one in self.prompts if one.rule == "text" for text in one.choices]
        texts = sum(len(option_tokens(tokenizer, one)) - 1 for one in options)
        return texts + sum(len(one.tokens) for one in self.prompts)


def _answer_tokens(tokenizer: Tokenizer, prompt: DecisionPrompt) -> int:
    """The tokens of the longest option that are read after a prompt; none for labels."""
    texts = prompt.choices if prompt.rule == "text" else ()
    return max((len(option_tokens(tokenizer, one)) - 1 for one in texts), default=0)


@dataclass(frozen=True)
class DecisionAnswer:
    """The answer to a question."""

    probabilities: tuple[float, ...]
    """Of each option; they sum to 1."""
    outside: float | None = None
    """The probability of everything that is no label; None for options scored by their texts."""
    calibration: Calibration | None = None
    """The fit that the probabilities come from; None if they are not calibrated."""

    @classmethod
    def of(
        cls, chances: Sequence[float], rule: ChoiceRule, temperature: float = 1.0
    ) -> DecisionAnswer:
        """The answer from the unnormalised probabilities of the options."""
        powers = [math.log(max(chance, _NOTHING)) / temperature for chance in chances]
        weights = [math.exp(power - max(powers)) for power in powers]
        outside = max(0.0, 1.0 - math.fsum(chances)) if rule == "token" else None
        return cls(tuple(weight / math.fsum(weights) for weight in weights), outside)

    def calibrated(self, fit: Calibration) -> DecisionAnswer:
        """The answer to a predicate with the fit's probability of its first option."""
        yes = fit.map(self.probabilities[0])
        return replace(self, probabilities=(yes, 1.0 - yes), calibration=fit)

    @property
    def best(self) -> int:
        """The place of the most probable option; the first of several."""
        return self.probabilities.index(max(self.probabilities))

    @property
    def choice_confidence(self) -> float:
        """0 for equal probabilities, 1 for certainty."""
        count = len(self.probabilities)
        even = 1 / count
        return 1.0 if count == 1 else max(0.0, (max(self.probabilities) - even) / (1 - even))

    @property
    def score(self) -> float:
        """The expected level, counted from 0."""
        return math.fsum(level * chance for level, chance in enumerate(self.probabilities))

    @property
    def score_confidence(self) -> float:
        """1 for certainty, 0 for a distance from the best level as of equal probabilities."""
        count, best = len(self.probabilities), self.best
        if count == 1:
            return 1.0
        even = math.fsum(abs(level - (count - 1) / 2) for level in range(count)) / count
        spread = math.fsum(p * abs(level - best) for level, p in enumerate(self.probabilities))
        return max(0.0, 1.0 - spread / even)

    def confidence(self, kind: DecisionKind) -> float:
        """The confidence of an answer to a question of this type, from 0 to 1."""
        return self.score_confidence if kind == "score" else self.choice_confidence


@dataclass(frozen=True)
class DecisionTemperatures:
    """The temperature of each type of question, which calibrates its probabilities."""

    predicate: float = 1.0
    choice: float = 1.0
    score: float = 1.0

    def __post_init__(self) -> None:
        for value in (self.predicate, self.choice, self.score):
            if not 0 < value < math.inf:
                raise BadParameterError(
                    f"the temperature of decisions is {value}", "use a number above 0"
                )

    def of(self, kind: DecisionKind) -> float:
        """The temperature of questions of this type."""
        return {"predicate": self.predicate, "choice": self.choice, "score": self.score}[kind]


def decide(model: Model, state: str, questions: Sequence[DecisionQuestion]) -> Decide:
    """The search that answers questions about a state; run it as `LiveRequest.strategy`."""
    return Decide(tuple(decision_prompt(model, state, one) for one in questions))


def decision_answers(
    text: str,
    search: Decide,
    questions: Sequence[DecisionQuestion],
    temperatures: DecisionTemperatures,
    fit: Calibration | None = None,
) -> list[DecisionAnswer]:
    """The answers that the text of a run of `search` holds; `fit` calibrates predicates."""
    found = [
        DecisionAnswer.of(chances, prompt.rule, temperatures.of(question.kind))
        for chances, prompt, question in zip(
            json.loads(text), search.prompts, questions, strict=True
        )
    ]
    return [
        one.calibrated(fit) if fit is not None and question.kind == "predicate" else one
        for one, question in zip(found, questions, strict=True)
    ]


def predicate_calibration(model: str, known: Sequence[Calibration]) -> Calibration | None:
    """The fit for predicates of a model: that of its own verdicts on most answers.

    `self-judge` reads its probability of "Yes" as a predicate does. Answers of other recipes of
    the model serve too, and so do other tasks; each answer names the fit.
    """
    fits = [
        one
        for one in known
        if one.method == VERDICTS and Recipe.parse(one.answers.partition(" --")[0]).model == model
    ]
    return max(fits, key=lambda one: one.questions, default=None)
