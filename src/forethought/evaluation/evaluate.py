"""Evaluation of recipes on tasks, resumable: each sample is stored before the next one starts.

Stored samples are never repeated. The result depends neither on interruptions nor on which
recipes were evaluated together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import Any

from forethought.backends.openai.token_estimate import APPROXIMATE
from forethought.contracts.comparison import Comparison
from forethought.contracts.errors import BadDataError, ForethoughtError
from forethought.contracts.questions import Outcome, Question, Sample, Task, outcome_of
from forethought.evaluation.cells import CellRunner, OpenSamples
from forethought.evaluation.confidence_scores import LEVEL
from forethought.evaluation.draws import RIGHT, answer_candidates
from forethought.evaluation.holdout_looks import held_out, split_of
from forethought.evaluation.judged_ranking import JudgedSettings, judged_ranking
from forethought.evaluation.search_analysis import Checks, SearchAnalysis
from forethought.evaluation.statistics import compared
from forethought.evaluation.wanted_sample import SampleAnswer, WantedSample, wanted_sample
from forethought.recipes.identity import (
    QUESTION_HASH,
    REVISIONS,
    question_hash,
    revisions,
)
from forethought.recipes.recipe import Recipe, is_remote
from forethought.storage.store import Store, answer_content

_POSITIONS = ("positions", "shares")


@dataclass(frozen=True)
class EvaluationProgress:
    """Progress of an evaluation."""

    done: int
    """Samples in the store, including those of earlier runs."""
    asked: int
    """Samples that this run added."""
    total: int


@dataclass(frozen=True)
class Evaluation:
    """Recipes, tasks and the store of their samples."""

    recipes: tuple[Recipe, ...]
    tasks: Mapping[str, Task]
    """By spelling."""
    store: Store
    runner: CellRunner
    provenance: Mapping[str, str]
    samples: int = 1
    """Answers per question."""
    searches: bool = False
    """Whether to add statistics of search candidates and majority votes counted from them."""
    holdout: bool = False
    """Whether a reusable holdout keeps one half of the questions."""
    judged: JudgedSettings | None = None
    """Ranks recipes by the verdicts of their confidence methods too."""
    level: float = LEVEL
    """The confidence from which an answer counts as given."""

    def run(self, progress: Callable[[EvaluationProgress], None] | None = None) -> Comparison:
        """Run the missing samples, store them, and compare all recipes.

        A recipe that refuses a question is dropped, and the remaining ones continue. The first
        recipe is the baseline: if it refuses, the error is raised.
        """
        wanted = list(self.wanted())
        if self.holdout:
            split_of(wanted).check()
        samples = OpenSamples(self.store, self.recipes[0].label, self._missing(wanted))
        kept, total = len(wanted) - len(samples.missing), len(wanted)
        report = progress or _silent
        report(EvaluationProgress(kept, 0, total))
        conflicting: list[Sample] = []
        for asked, answer in enumerate(self.runner.answers(samples), 1):
            sample = self._sample(answer)
            first = self.store.put(sample)
            conflicting += [first] if answer_content(first) != answer_content(sample) else []
            report(EvaluationProgress(kept + samples.elsewhere + asked, asked, total))
        refused = samples.refused
        found = self.compared([one for one in wanted if one.name not in refused])
        notes = (*found.notes, *_conflict_note(conflicting))
        return replace(found, notes=notes, refusals=tuple(refused.values()))

    def _missing(self, wanted: Sequence[WantedSample]) -> list[WantedSample]:
        return [one for one in wanted if not self.store.has(one.key)]

    def compared(self, wanted: Sequence[WantedSample]) -> Comparison:
        """Compare the stored samples among `wanted`."""
        # Recipes that differ only in stated defaults share their samples; relabel them.
        found = ((one, self.store.get(one.key)) for one in wanted)
        kept = [self._kept(one, sample) for one, sample in found if sample is not None]
        names = list(dict.fromkeys(one.name for one in wanted))
        recipes = {one.label: one for one in self.recipes if one.label in names}
        split = split_of(wanted) if self.holdout else None
        seen = kept if split is None else split.seen(kept)
        analysis = SearchAnalysis.of(recipes if self.searches else {}, seen, self._checks(wanted))
        samples = analysis.all_samples if self.searches else seen
        shown = list(analysis.recipes) if self.searches else names
        result = compared(
            samples, shown, list(self.tasks), provenance=self.provenance, level=self.level
        )
        result = analysis.extended(result) if self.searches else result
        if split is not None:
            told = held_out(split, names, kept, self.store.holdouts())
            result = replace(result, held_out=told)
        if self.judged is not None:
            result = replace(result, judged=judged_ranking(seen, names, self.judged))
        notes = (APPROXIMATE,) if is_remote(self.recipes[0].model) else ()
        return replace(result, notes=notes)

    def _kept(self, one: WantedSample, sample: Sample) -> Sample:
        """A stored sample under the recipe's name; files of earlier versions hold no outcomes."""
        outcome = sample.outcome or self._outcome(one, sample.run["answer"], sample.score)
        return replace(sample, recipe=one.name, outcome=outcome)

    def _outcome(self, one: WantedSample, answer: str, score: float) -> Outcome:
        return outcome_of(self.tasks[one.task], one.question, answer, score)

    def wanted(self) -> Iterator[WantedSample]:
        """Every sample of the evaluation, question by question."""
        found = {name: self._questions(name) for name in self.tasks}
        # Tasks alternate, so that a partial evaluation is balanced.
        for questions in zip_longest(*found.values()):
            for (name, task), question in zip(self.tasks.items(), questions, strict=True):
                for number in range(self.samples if question else 0):
                    for recipe in self.recipes:
                        yield wanted_sample(recipe, name, task, question, number)

    def _questions(self, name: str) -> list[Question]:
        """A task's questions; lengths are in tokens of the first recipe's model."""
        questions = list(self.tasks[name].questions(self.runner.measure(self.recipes[0])))
        if not questions:
            raise BadDataError(f"the task {name} has no questions", "name another file")
        return questions

    def _sample(self, answer: SampleAnswer) -> Sample:
        """The answer, scored, as the store keeps it."""
        one, run = answer.wanted, answer.run
        revised = revisions(one.name)
        made = {**self.provenance, **answer.made, **({REVISIONS: revised} if revised else {})}
        score = self._score(one, run["answer"])
        return Sample(
            key=one.key,
            recipe=one.name,
            task=one.task,
            question=one.question.identifier,
            cluster=one.question.cluster or one.question.identifier,
            number=one.number,
            score=score,
            run=self._judged(one, _without_positions(run)),
            provenance={**made, QUESTION_HASH: question_hash(one.question)},
            outcome=self._outcome(one, run["answer"], score),
        )

    def _judged(self, one: WantedSample, run: dict[str, Any]) -> dict[str, Any]:
        """The run, with a score on every finished candidate."""
        known = dict[str, float]()
        for candidate in answer_candidates(run):
            if candidate["finish"] in ("stop", "length"):
                text = candidate["text"]
                if text not in known:
                    known[text] = self._score(one, text)
                candidate[RIGHT] = known[text]
        return run

    def _checks(self, wanted: Sequence[WantedSample]) -> Checks:
        """Checkers of answers to these questions, by task."""
        asked = {(one.task, one.question.identifier): one for one in wanted}

        def check(task: str, question: str, answer: str) -> float:
            return self._score(asked[task, question], answer)

        return {task: partial(check, task) for task in self.tasks}

    def _score(self, one: WantedSample, answer: str) -> float:
        with ForethoughtError.named(f"{one.task}, {one.question.identifier}"):
            return self.tasks[one.task].check(one.question, answer)


def _conflict_note(conflicting: Sequence[Sample]) -> Iterator[str]:
    """A note if another process stored different answers first."""
    if conflicting:
        one, count = conflicting[0], len(conflicting)
        yield (
            f"{count:,} {'answer' if count == 1 else 'answers'} of this run, such as that to "
            f"{one.question} of {one.task} by {one.recipe}, differ from what another process "
            "kept first in the same file; what was kept is shown. Other hardware, another number "
            "of threads or another version can write other answers."
        )


def _without_positions(run: dict[str, Any]) -> dict[str, Any]:
    """The run without its kept positions, which are most of its bytes and reproducible."""
    kept = {name: value for name, value in run["kept"].items() if name not in _POSITIONS}
    return {**run, "kept": kept}


def _silent(progress: EvaluationProgress) -> None:
    """Ignore progress."""
