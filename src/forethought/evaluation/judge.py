"""Judges stored candidates that have no score."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from forethought.contracts.questions import Question, Sample, Task
from forethought.evaluation.draws import RIGHT, own_candidates
from forethought.recipes.identity import QUESTION_HASH, question_hash
from forethought.recipes.recipe import Recipe

if TYPE_CHECKING:
    from forethought.models.tokenization.tokenizer import Tokenizer


@dataclass
class AnswerJudge:
    """A task's checker for stored candidates, with its verdicts cached."""

    task: Task
    recipe: Recipe
    """The recipe whose tokenizer measures the length of questions."""
    verdicts: dict[tuple[str, str], float] = field(default_factory=dict)

    def check(self, question: str, answer: str) -> float:
        """The score of an answer."""
        if (question, answer) not in self.verdicts:
            self.verdicts[question, answer] = self.task.check(self._questions[question], answer)
        return self.verdicts[question, answer]

    def knows(self, sample: Sample) -> bool:
        """Whether every candidate has a score, or the task still has the sample's question."""
        if all(RIGHT in one for one in own_candidates(sample.run)):
            return True
        question = self._questions.get(sample.question)
        return question is not None and question_hash(question) == sample.provenance.get(
            QUESTION_HASH, question_hash(question)
        )

    @cached_property
    def _questions(self) -> dict[str, Question]:
        return {one.identifier: one for one in self.task.questions(self._length)}

    def _length(self, text: str) -> int:
        return len(self._tokenizer.encode(text))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        # Only tasks of a set length need a tokenizer; the others do not load torch.
        from forethought.models.load import load

        return load(self.recipe.model, weights=self.recipe.weights).tokenizer
