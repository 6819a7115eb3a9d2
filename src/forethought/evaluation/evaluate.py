"""Recipes meet tasks: every sample is kept before the next is asked for, so a run can go on.

What was kept is not asked again, and nothing that is shown depends on how often a run was
stopped or on which recipes were asked together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import Any

from forethought.backends.openai.token_estimate import APPROXIMATE
from forethought.contracts.comparison import Comparison, Refusal
from forethought.contracts.errors import BadDataError, ForethoughtError, UsageError
from forethought.contracts.questions import Question, Sample, Task
from forethought.evaluation.draws import RIGHT, written
from forethought.evaluation.searches import Checks, Searches
from forethought.evaluation.statistics import compared
from forethought.recipes.identity import QUESTION_HASH, question_hash, sample_key, sample_seed
from forethought.recipes.recipe import Recipe, is_remote
from forethought.sessions.batch import Answers, BatchQuestion
from forethought.storage.store import Store, said

_PLACES = ("positions", "shares")


@dataclass(frozen=True)
class EvaluationProgress:
    """How far an evaluation is."""

    done: int
    """Samples that are kept, those of earlier runs included."""
    asked: int
    """Samples asked for in this run so far."""
    total: int


@dataclass(frozen=True)
class WantedSample:
    """A sample that an evaluation needs."""

    key: str
    recipe: Recipe
    """As it is asked: with the task's answer length and a seed of its own."""
    name: str
    """The recipe's name in tables."""
    task: str
    """Its spelling."""
    origin: Task
    question: Question
    number: int

    @property
    def ask(self) -> BatchQuestion:
        """The question for its recipe."""
        question = self.question
        return BatchQuestion(self.recipe, question.text, question.document, self.origin, question)


@dataclass(frozen=True)
class Evaluation:
    """Recipes on tasks, and the file their samples are kept in."""

    recipes: tuple[Recipe, ...]
    tasks: Mapping[str, Task]
    """By spelling."""
    store: Store
    answers: Answers
    provenance: Mapping[str, str]
    samples: int = 1
    """Answers to each question."""
    searches: bool = False
    """Whether to tell too what searches chose among, and what votes would have come to."""

    def run(self, progress: Callable[[EvaluationProgress], None] | None = None) -> Comparison:
        """Ask what is not kept yet, and compare all of it.

        A recipe that a question does not fit is left out, and the others go on. The first
        recipe is what they are compared with: where it does not fit, the error is raised.
        """
        wanted = list(self.wanted())
        missing = self._missing(wanted)
        asked, kept, total = 0, len(wanted) - len(missing), len(wanted)
        report = progress or _silent
        report(EvaluationProgress(kept, 0, total))
        refused: dict[str, Refusal] = {}
        others: list[Sample] = []
        for group in self._together(missing):
            going = self._missing(group)  # another process may have answered some meanwhile
            kept += len(group) - len(going)
            going = [one for one in going if one.name not in refused]
            for sample in self._asked(going, refused):
                first = self.store.put(sample)
                others += [first] if said(first) != said(sample) else []
                asked += 1
                report(EvaluationProgress(kept + asked, asked, total))
        found = self.compared([one for one in wanted if one.name not in refused])
        notes = (*found.notes, *_told_of(others))
        return replace(found, notes=notes, refusals=tuple(refused.values()))

    def _missing(self, wanted: Sequence[WantedSample]) -> list[WantedSample]:
        return [one for one in wanted if not self.store.has(one.key)]

    def compared(self, wanted: Sequence[WantedSample]) -> Comparison:
        """What is kept of these, compared."""
        # A recipe that states what is usual has the answers of the one that leaves it open.
        kept = [
            replace(sample, recipe=one.name)
            for one in wanted
            if (sample := self.store.get(one.key)) is not None
        ]
        names = list(dict.fromkeys(one.name for one in wanted))
        recipes = {one.label: one for one in self.recipes if one.label in names}
        looked = Searches.of(recipes if self.searches else {}, kept, self._checks(wanted))
        samples = looked.all_samples if self.searches else kept
        names = list(looked.recipes) if self.searches else names
        found = compared(samples, names, list(self.tasks), provenance=self.provenance)
        found = looked.told(found) if self.searches else found
        notes = (APPROXIMATE,) if is_remote(self.recipes[0].model) else ()
        return replace(found, notes=notes)

    def wanted(self) -> Iterator[WantedSample]:
        """Every sample that is needed, question by question."""
        found = {name: self._questions(name) for name in self.tasks}
        # The first question of every task, then the second: what is there early is balanced.
        for questions in zip_longest(*found.values()):
            for (name, task), question in zip(self.tasks.items(), questions, strict=True):
                for number in range(self.samples if question else 0):
                    for recipe in self.recipes:
                        yield _wanted(recipe, name, task, question, number)

    def _questions(self, name: str) -> list[Question]:
        """A task's questions; lengths are those of the first recipe's model."""
        questions = list(self.tasks[name].questions(self.answers.measure(self.recipes[0])))
        if not questions:
            raise BadDataError(f"the task {name} has no questions", "name another file")
        return questions

    def _together(self, missing: Sequence[WantedSample]) -> Iterator[tuple[WantedSample, ...]]:
        """What to ask at once: all recipes of a question, or as many questions as pay."""
        by_question: dict[tuple[str, str], list[WantedSample]] = {}
        for one in missing:
            by_question.setdefault((one.task, one.question.identifier), []).append(one)
        # Of what is missing alone: no model is loaded whose answers are all kept.
        pay = min((self.answers.at_once(one.recipe) for one in missing), default=1)
        most = max(1, pay // (len(self.recipes) * self.samples))
        groups = list(by_question.values())
        for start in range(0, len(groups), most):
            yield tuple(one for group in groups[start : start + most] for one in group)

    def _asked(
        self, group: Sequence[WantedSample], refused: dict[str, Refusal]
    ) -> Iterator[Sample]:
        def refuse(place: int, error: UsageError) -> None:
            one = group[place]
            if one.name == self.recipes[0].label:
                raise error
            found = Refusal(one.name, one.task, one.question.identifier, error.message, error.hint)
            refused.setdefault(one.name, found)

        asks = [one.ask for one in group]
        for answered in self.answers.answer(asks, refuse, self.store.replay_log()):
            one, run = group[answered.place], answered.run.document()
            made = {**self.provenance, **answered.made}
            yield Sample(
                key=one.key,
                recipe=one.name,
                task=one.task,
                question=one.question.identifier,
                cluster=one.question.cluster or one.question.identifier,
                number=one.number,
                score=self._score(one, run["answer"]),
                run=self._judged(one, _lean(run)),
                provenance={**made, QUESTION_HASH: question_hash(one.question)},
            )

    def _judged(self, one: WantedSample, run: dict[str, Any]) -> dict[str, Any]:
        """A run with how right each whole answer is that a search wrote."""
        known = dict[str, float]()
        for candidate in written(run):
            if candidate["finish"] in ("stop", "length"):
                text = candidate["text"]
                if text not in known:
                    known[text] = self._score(one, text)
                candidate[RIGHT] = known[text]
        return run

    def _checks(self, wanted: Sequence[WantedSample]) -> Checks:
        """How answers to these are judged, by task."""
        asked = {(one.task, one.question.identifier): one for one in wanted}

        def check(task: str, question: str, answer: str) -> float:
            return self._score(asked[task, question], answer)

        return {task: partial(check, task) for task in self.tasks}

    def _score(self, one: WantedSample, answer: str) -> float:
        with ForethoughtError.named(f"{one.task}, {one.question.identifier}"):
            return self.tasks[one.task].check(one.question, answer)


def _wanted(recipe: Recipe, name: str, task: Task, question: Question, number: int) -> WantedSample:
    # Only where the recipe leaves it open does the task say how long an answer may be.
    given = recipe.max_tokens != Recipe.max_tokens
    settled = recipe if given else replace(recipe, max_tokens=task.answer_tokens)
    # Searches that ask in the same way are given the same answers to choose among.
    drawn_by = settled.asking if settled.search else settled
    seed = sample_seed(drawn_by.to_json(), name, question.identifier, number)
    key = sample_key(settled.to_json(), name, question, number)
    asked = replace(settled, seed=seed)
    return WantedSample(key, asked, recipe.label, name, task, question, number)


def _told_of(others: Sequence[Sample]) -> Iterator[str]:
    """What to say where another process kept answers that say something else."""
    if others:
        one, count = others[0], len(others)
        yield (
            f"{count:,} {'answer' if count == 1 else 'answers'} of this run, such as that to "
            f"{one.question} of {one.task} by {one.recipe}, differ from what another process "
            "kept first in the same file; what was kept is shown. Other hardware, another number "
            "of threads or another version can write other answers."
        )


def _lean(run: dict[str, Any]) -> dict[str, Any]:
    """A run without the places it kept: they are most of its bytes, and found again by asking."""
    kept = {name: value for name, value in run["kept"].items() if name not in _PLACES}
    return {**run, "kept": kept}


def _silent(progress: EvaluationProgress) -> None:
    """Tell nobody."""
