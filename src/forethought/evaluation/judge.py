"""Judges answers of runs that were kept without how right each of them was."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from forethought.contracts.questions import Question, Sample, Task
from forethought.evaluation.draws import RIGHT, written
from forethought.recipes.identity import QUESTION_HASH, question_hash
from forethought.recipes.recipe import Recipe

if TYPE_CHECKING:
    from forethought.models.tokenization.tokenizer import Tokenizer


@dataclass
class AnswerJudge:
    """Judges candidates of runs that were kept without how right each was."""

    task: Task
    recipe: Recipe
    """Whose model's tokens a task's questions are measured by."""
    verdicts: dict[tuple[str, str], float] = field(default_factory=dict)

    def check(self, question: str, answer: str) -> float:
        """How right an answer is."""
        if (question, answer) not in self.verdicts:
            self.verdicts[question, answer] = self.task.check(self._questions[question], answer)
        return self.verdicts[question, answer]

    def knows(self, sample: Sample) -> bool:
        """Whether candidates of a sample need no judge, or the task still has its question."""
        if all(RIGHT in one for one in written(sample.run)):
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
        # Only tasks that are made to a length ask for it, so others need not wait for torch.
        from forethought.models.load import load

        return load(self.recipe.model, weights=self.recipe.weights).tokenizer
