"""Forecasts from stored answers: the Python call behind `forecast`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path

from forethought import catalogue
from forethought.contracts.errors import UsageError
from forethought.contracts.forecast import Curve, Difficulty, Economics, Forecast
from forethought.contracts.questions import Sample, Task
from forethought.evaluation.attempts import ImperfectVerifier
from forethought.evaluation.curves import curve, flop_price
from forethought.evaluation.difficulty import difficulty
from forethought.evaluation.draws import Draws, draws, draws_alike
from forethought.evaluation.judge import AnswerJudge
from forethought.evaluation.look_ahead import SIMULATED, LookAhead, is_countable
from forethought.evaluation.stored_samples import samples_of_model
from forethought.evaluation.task_scores import check_same_questions, scores_by_task
from forethought.evaluation.token_rates import TokenRates
from forethought.recipes.recipe import Recipe
from forethought.recipes.recipe_grid import recipe_grid
from forethought.storage.location import no_answers, results_file

UP_TO = 256
"""Forecast up to this number of answers unless a caller says otherwise."""


def forecast(
    recipes: Sequence[str],
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    results: Path | str | None = None,
    verifier: ImperfectVerifier | None = None,
    up_to: int = UP_TO,
    against: str = "",
    pfn: Path | str | None = None,
    curves: Path | str | None = None,
    prior: str = SIMULATED,
) -> Forecast:
    """Curves over the number of answers, up to `up_to`, from the results file; no model runs.

    Recipes are spelled as for `compare`; without any, every stored recipe on the model of `base`
    counts. Each is compared with one answer of the recipe `against`, if there is one. The network
    in the file `pfn` takes the place of the simulated worlds, and that in `curves` forecasts the
    choices by score and by likelihood. `prior` is one of PRIORS. UsageError if no stored recipe has
    several independent answers per question.
    """
    on = Recipe.parse(base) if isinstance(base, str) else base
    network, learnt = (Path(file).expanduser() if file else None for file in (pfn, curves))
    beyond = LookAhead(up_to, network, learnt, prior)
    _check_trained(network, "coverage")
    _check_trained(learnt, "learning-curve")
    dearer = _dearer(against, on) if against else ""
    built: dict[str, Task] = {}
    for text in tasks:
        built |= {catalogue.spelled_open(task): task for task in catalogue.expand(text).values()}
    if not built:
        raise UsageError("there is no task", "name one with -t; see: forethought list tasks")
    file = Path(results or results_file()).expanduser()
    named = {one.spelling for one in recipe_grid(recipes, on)} if recipes else set()
    every = samples_of_model(file, list(built), on.model, ())
    stored = samples_of_model(file, list(built), on.model, named) if named else every
    notes: dict[str, None] = {}
    drawn_curves: list[Curve] = []
    difficulties: list[Difficulty] = []
    rivals: list[Economics] = []
    others = samples_of_model(file, list(built), on.model, {dearer}) if dearer else {}
    for name, task in built.items():
        judge = AnswerJudge(task, on)
        found = _TaskSamples(name, stored[name], judge, every[name], bool(named))
        drawn_curves += found.curves(verifier or ImperfectVerifier(), beyond)
        difficulties += found.difficulties()
        if dearer:
            other = _TaskSamples(name, others[name], judge, every[name], True)
            rivals += found.economics(other, dearer, beyond)
        notes |= dict.fromkeys(found.notes)
    if not drawn_curves:
        raise _no_curves(file, on, list(built), notes)
    made = {"forethought": metadata.version("forethought"), "results": file.name}
    return Forecast(tuple(drawn_curves), tuple(difficulties), tuple(rivals), tuple(notes), made)


def _check_trained(file: Path | None, kind: str) -> None:
    """Raise UsageError if a file is named and does not exist."""
    if file is not None and not file.is_file():
        raise UsageError(
            f"there is no network at {file}", f"train one: forethought tune --train-pfn {kind}"
        )


def _dearer(text: str, on: Recipe) -> str:
    """The spelling of the recipe to compare with."""
    found = recipe_grid([text], on)
    if len(found) != 1:
        raise UsageError(f"{text!r} names {len(found)} recipes", "name one recipe with --against")
    return found[0].spelling


def _no_curves(file: Path, on: Recipe, tasks: Sequence[str], notes: Iterable[str]) -> UsageError:
    told = "".join(f"\n{note}" for note in notes)
    asked = " ".join(f"-t '{task}'" for task in tasks[:1])
    return UsageError(
        f"{no_answers(file)} of {on.model} to {', '.join(tasks)} for a forecast, which needs "
        f"several independent answers to each question{told}",
        f"make some: forethought compare 'majority-vote(n=16)' -m {on.model} {asked} "
        f"--results {file}",
    )


def _without_search(sample: Sample) -> str:
    """Spelling of a sample's recipe without its search: model, draft and methods."""
    return replace(Recipe.parse(sample.run["recipe"]), search="", scorer="").spelling


@dataclass
class _TaskSamples:
    """The stored samples of one task."""

    task: str
    samples: Sequence[Sample]
    judge: AnswerJudge
    every: Sequence[Sample]
    """All samples of the model, whose costs tell what a token costs."""
    named: bool
    """Whether the recipes were named; a named recipe without a curve gets a note."""
    notes: list[str] = field(default_factory=list)

    def curves(self, verifier: ImperfectVerifier, beyond: LookAhead) -> list[Curve]:
        """A curve for each recipe with several independent answers per question."""
        return [
            curve(
                label,
                self.task,
                drawn,
                scorer=Recipe.parse(self.by_recipe[label][0].run["recipe"]).scorer,
                verifier=verifier,
                beyond=beyond,
            )
            for label, drawn in self.drawn.items()
        ]

    def difficulties(self) -> list[Difficulty]:
        """The questions by difficulty, measured by the recipe with most answers."""
        if not self.drawn:
            return []
        answers = {
            label: scores_by_task(label, samples, [self.task])
            for label, samples in self.by_recipe.items()
        }
        check_same_questions(answers)
        most = max(self.drawn, key=lambda label: sum(one.count for one in self.drawn[label]))
        scores = {label: found[self.task].scores for label, found in answers.items()}
        found = difficulty(self.task, most, self.drawn[most], scores)
        if found is None:
            self.notes.append(f"{self.task}: too few questions to tell easy from hard ones")
        return [found] if found else []

    def economics(self, other: _TaskSamples, dearer: str, beyond: LookAhead) -> list[Economics]:
        """Each recipe with several answers, beside one answer of the dearer recipe."""
        found = []
        for single, answers in ((label, other.answers(label)) for label in other.by_recipe):
            for label, drawn in self.drawn.items():
                shared = {one.question for one in drawn} & {one.question for one in answers}
                cheap = [one for one in drawn if one.question in shared]
                dear = [one for one in answers if one.question in shared]
                if label != single and shared and is_countable(cheap):
                    costs = flop_price(cheap), flop_price(dear)
                    both = (label, cheap), (single, dear)
                    found.append(beyond.economics(*both, self.task, costs))
        if not found:
            self._note(f"{dearer}: no stored answers to compare with on {self.task}")
        return found

    @cached_property
    def by_recipe(self) -> dict[str, list[Sample]]:
        """The samples of each recipe, by label."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            found[sample.recipe].append(sample)
        return found

    @cached_property
    def drawn(self) -> dict[str, list[Draws]]:
        """Draws of each recipe that has several independent answers per question."""
        found = {label: self._drawn(label, samples) for label, samples in self.by_recipe.items()}
        return {label: some for label, some in found.items() if some}

    def _drawn(self, label: str, samples: Sequence[Sample]) -> list[Draws]:
        """Draws of one recipe; empty unless each question has several independent answers."""
        if not draws_alike(samples[0].run):
            self._note_if_named(f"{label}: its answers are not independent draws")
            return []
        whole = self.answers(label)
        counts = [one.count for one in whole]
        if counts and min(counts) < max(counts):
            self._note(f"{label}: {min(counts)} to {max(counts)} answers by question")
        if counts and min(counts) > 1:
            return whole
        self._note_if_named(f"{label}: it has only one answer to a question")
        return []

    def answers(self, label: str) -> list[Draws]:
        """The answers of one recipe to each question, without questions whose answers were cut."""
        samples = self.by_recipe[label]
        known = [sample for sample in samples if self.judge.knows(sample)]
        if len(known) < len(samples):
            self._note(
                f"{label}: {len(samples) - len(known)} of {len(samples)} answers left out, since "
                f"{self.task} with these settings lacks their questions; give a greater count"
            )
        found = draws(known, self.judge.check, self._rates(label)) if known else []
        whole = [one for one in found if not one.cut]
        if len(whole) < len(found):
            cut = len(found) - len(whole)
            self._note(f"{label}: answers cut short, so questions left out: {cut}")
        return whole

    def _rates(self, label: str) -> TokenRates:
        """Token rates, fitted to all runs with the same model, draft and methods."""
        way = _without_search(self.by_recipe[label][0])
        known = {one.key: one for one in (*self.every, *self.samples)}.values()
        return TokenRates.of([one.run for one in known if _without_search(one) == way])

    def _note_if_named(self, note: str) -> None:
        """Add a note about a recipe only if it was named."""
        if self.named:
            self._note(note)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
