"""What kept answers tell of fewer and more of them: the call behind `forecast`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.forecast import Curve, Difficulty, Forecast
from forethought.contracts.questions import Sample, Task
from forethought.evaluation.answered import answers_by_task, check_alike
from forethought.evaluation.curves import curve
from forethought.evaluation.difficulty import difficulty
from forethought.evaluation.draws import Draws, draws, draws_alike
from forethought.evaluation.judge import AnswerJudge
from forethought.evaluation.token_rates import TokenRates
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.storage.location import held, results_file
from forethought.storage.store import Store


@dataclass(frozen=True)
class Wager:
    """A verifier that lets some wrong answers pass, and what one of those costs."""

    false_positives: float | None = None
    """Share of wrong answers that pass; None where no verifier is asked about."""
    penalty: float = 1.0
    """What an accepted wrong answer costs, where a right one is worth 1."""

    def __post_init__(self) -> None:
        if self.false_positives is not None and not 0 <= self.false_positives <= 1:
            raise UsageError(
                f"a share of {self.false_positives:g} false positives is none",
                "give a share from 0 to 1, such as 0.05",
            )
        if not self.penalty >= 0:
            raise UsageError(f"a penalty of {self.penalty:g} is a gift", "give 0 or more")


def forecast(
    recipes: Sequence[str],
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    results: Path | str | None = None,
    wager: Wager | None = None,
) -> Forecast:
    """Curves over the number of answers from what the results file holds; no model is asked.

    Recipes are named as for `compare`; without any, all that were run on the model of `base`
    take part. UsageError where nothing is kept that tells of other numbers of answers.
    """
    on = Recipe.parse(base) if isinstance(base, str) else base
    built: dict[str, Task] = {}
    for text in tasks:
        built |= {catalogue.spelled_open(task): task for task in catalogue.expand(text).values()}
    if not built:
        raise UsageError("there is no task", "name one with -t; see: forethought list tasks")
    file = Path(results or results_file()).expanduser()
    named = {one.spelling for one in recipe_grid(recipes, on)} if recipes else set()
    kept = _kept(file, list(built), on.model, named)
    notes: dict[str, None] = {}
    curves: list[Curve] = []
    difficulties: list[Difficulty] = []
    for name, task in built.items():
        found = _Kept(name, kept[name], AnswerJudge(task, on), bool(named))
        curves += found.curves(wager or Wager())
        difficulties += found.difficulties()
        notes |= dict.fromkeys(found.notes)
    if not curves:
        raise _nothing(file, on, list(built), notes)
    made = {"forethought": metadata.version("forethought"), "results": file.name}
    return Forecast(tuple(curves), tuple(difficulties), tuple(notes), made)


def _kept(
    file: Path, tasks: Sequence[str], model: str, named: Iterable[str]
) -> Mapping[str, list[Sample]]:
    """Samples by task, of the recipes of these spellings, or of all on the model."""
    found: dict[str, list[Sample]] = defaultdict(list)
    if not file.exists():
        return found
    with Store.open(file) as store:
        for sample in store.samples(tasks=tasks):
            spelled = sample.run["recipe"]
            if spelled in named if named else Recipe.parse(spelled).model == model:
                found[sample.task].append(sample)
    return found


def _nothing(file: Path, on: Recipe, tasks: Sequence[str], notes: Iterable[str]) -> UsageError:
    told = "".join(f"\n{note}" for note in notes)
    asked = " ".join(f"-t '{task}'" for task in tasks[:1])
    return UsageError(
        f"{held(file)} of {on.model} to {', '.join(tasks)} that tell of other numbers of them"
        f"{told}",
        f"make some: forethought compare 'majority-vote(n=16)' -m {on.model} {asked} "
        f"--results {file}",
    )


def _below(sample: Sample) -> str:
    """Model, draft and methods of a sample's recipe, whatever searches on top of them."""
    return replace(Recipe.parse(sample.run["recipe"]), search="", scorer="").spelling


@dataclass
class _Kept:
    """What is kept of one task."""

    task: str
    samples: Sequence[Sample]
    judge: AnswerJudge
    named: bool
    """Whether the recipes were named, so that one that tells nothing is worth a word."""
    notes: list[str] = field(default_factory=list)

    def curves(self, wager: Wager) -> list[Curve]:
        """One for each recipe that drew several independent answers to each question."""
        return [
            curve(
                label,
                self.task,
                drawn,
                scorer=Recipe.parse(self.by_recipe[label][0].run["recipe"]).scorer,
                false_positives=wager.false_positives,
                penalty=wager.penalty,
            )
            for label, drawn in self.drawn.items()
        ]

    def difficulties(self) -> list[Difficulty]:
        """The questions by difficulty, as the recipe with most answers tells it."""
        if not self.drawn:
            return []
        answers = {
            label: answers_by_task(label, samples, [self.task])
            for label, samples in self.by_recipe.items()
        }
        check_alike(answers)
        most = max(self.drawn, key=lambda label: sum(one.count for one in self.drawn[label]))
        scores = {label: found[self.task].scores for label, found in answers.items()}
        found = difficulty(self.task, most, self.drawn[most], scores)
        if found is None:
            self.notes.append(f"{self.task}: too few questions to tell easy from hard ones")
        return [found] if found else []

    @cached_property
    def by_recipe(self) -> dict[str, list[Sample]]:
        """What is kept, by the recipe's name."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            found[sample.recipe].append(sample)
        return found

    @cached_property
    def drawn(self) -> dict[str, list[Draws]]:
        """By recipe, the independent answers to each question, where there are several."""
        found = {label: self._drawn(label, samples) for label, samples in self.by_recipe.items()}
        return {label: some for label, some in found.items() if some}

    def _drawn(self, label: str, samples: Sequence[Sample]) -> list[Draws]:
        """Several independent answers to each question; nothing where there are none."""
        if not draws_alike(samples[0].run):
            self._tell(f"{label}: its answers are no independent draws")
            return []
        known = [sample for sample in samples if self.judge.knows(sample)]
        if len(known) < len(samples):
            self._note(
                f"{label}: {len(samples) - len(known)} of {len(samples)} answers left out, since "
                f"{self.task} as it is given does not hold their questions; give a greater count"
            )
        found = draws(known, self.judge.check, self._rates(label)) if known else []
        whole = [one for one in found if not one.cut]
        if len(whole) < len(found):
            cut = len(found) - len(whole)
            self._note(f"{label}: answers cut short, so questions left out: {cut}")
        counts = [one.count for one in whole]
        if counts and min(counts) < max(counts):
            self._note(f"{label}: {min(counts)} to {max(counts)} answers by question")
        if counts and min(counts) > 1:
            return whole
        self._tell(f"{label}: one answer to a question tells of no other number")
        return []

    def _rates(self, label: str) -> TokenRates:
        """What tokens cost, from all runs whose model does the same to them."""
        ways = {name: _below(samples[0]) for name, samples in self.by_recipe.items()}
        alike = [name for name, way in ways.items() if way == ways[label]]
        return TokenRates.of([one.run for name in alike for one in self.by_recipe[name]])

    def _tell(self, note: str) -> None:
        """Note what is usual, where the recipe was named."""
        if self.named:
            self._note(note)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
