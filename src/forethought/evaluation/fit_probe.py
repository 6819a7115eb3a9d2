"""Probes fitted to stored answers: the Python call behind `tune --probe KIND`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forethought import catalogue
from forethought.beliefs.probes.file import digest_of, written
from forethought.beliefs.probes.fitting import (
    Fit,
    HiddenLayer,
    Logistic,
    MeansOfClasses,
    cross_entropy,
    folds_of,
    held_out,
)
from forethought.contracts.comparison import Interval
from forethought.contracts.errors import UsageError
from forethought.contracts.probing import FittedProbe, ProbeKind, ProbeRecord, TaskRanking
from forethought.contracts.questions import Task
from forethought.engine.meter import Meter
from forethought.evaluation.probe_examples import Examples, QuestionAnswers, examples_of
from forethought.evaluation.probe_states import StateReader
from forethought.evaluation.strategy_matrix import StoredSamples, without_search
from forethought.models.load import load
from forethought.models.model import Model
from forethought.numerics.ranking import auroc_interval
from forethought.recipes.recipe import Recipe, is_remote
from forethought.storage.location import no_answers, results_file
from forethought.storage.store import Store

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with (questions read, questions)."""
PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Penalties of the logistic regression that held-out states choose among."""
NOISES = (1.0, 10.0, 100.0)
"""Variances within classes that held-out states choose among, beside the hidden layer."""
LEAST = 20
"""Least questions; with fewer, held-out figures are noise."""


@dataclass(frozen=True)
class _Fitted:
    fit: Fit
    logits: Floats
    """[N, classes] of held-out states."""
    loss: float
    told: Mapping[str, object]


def fit_probe(
    kind: ProbeKind,
    tasks: Sequence[str],
    base: Recipe | str = "smollm2",
    *,
    results: Path | str | None = None,
    output: Path | str | None = None,
    progress: Progress | None = None,
    seed: int = 0,
) -> FittedProbe:
    """Fit a probe to the sampled answers of a results file, and write it to `output`.

    One prefill of each question and its answers recomputes the hidden states. Raises UsageError if
    the file holds too few answers, or only right or only wrong ones.
    """
    on = Recipe.parse(base) if isinstance(base, str) else base
    file = Path(results or results_file()).expanduser()
    _check(on, tasks)
    built = {
        catalogue.spelled_open(task): task
        for text in tasks
        for task in catalogue.expand(text).values()
    }
    model = load(on.model, weights=on.weights)
    asked = _asked(file, built, on, model)
    if len(asked) < LEAST:
        raise _too_few(file, on, list(built), f"of {len(asked)} questions; {LEAST} are the least")
    rng = np.random.default_rng(seed)
    reader = StateReader(model, Meter(time.perf_counter))
    parts = []
    for done, part in enumerate(examples_of(kind, asked, reader, rng), 1):
        parts.append(part)
        if progress is not None:
            progress(done, len(asked))
    found = Examples.joined(parts)
    _check_both(found, file, on, list(built))
    return _fitted(kind, found, reader, tuple(built), output, rng)


def _check(on: Recipe, tasks: Sequence[str]) -> None:
    if is_remote(on.model):
        raise UsageError(
            f"{on.model} is a server, whose hidden states nobody sees",
            "fit a probe to a model that runs here",
        )
    if on.approximate:
        raise UsageError(
            f"a probe is fitted to the model alone, and {on.spelling} has methods",
            "name the model alone with -m; the probe reads prompts that methods shortened too",
        )
    if not tasks:
        raise UsageError("there is no task", "name one with -t; see: forethought list tasks")


def _asked(
    file: Path, tasks: Mapping[str, Task], on: Recipe, model: Model
) -> list[QuestionAnswers]:
    """The questions with independent sampled answers, those of each task together."""
    found = []
    if not file.exists():
        return []
    with Store.open(file) as store:
        for name, task in tasks.items():
            samples = [
                sample
                for sample in store.samples(tasks=[name])
                if without_search(Recipe.parse(sample.run["recipe"])) == without_search(on)
            ]
            drawn = StoredSamples(name, task, samples, on).drawn
            encode = model.tokenizer.encode
            for question in task.questions(lambda text: len(encode(text))):  # noqa: B023
                if (own := drawn.get(question.identifier)) is not None:
                    found.append(QuestionAnswers(name, question, own))
    return found


def _check_both(found: Examples, file: Path, on: Recipe, tasks: Sequence[str]) -> None:
    means = found.labels.mean(axis=0)
    if ((means <= 0) | (means >= 1)).all():
        raise _too_few(file, on, tasks, "that differ: all labels are equal")


def _too_few(file: Path, on: Recipe, tasks: Sequence[str], why: str) -> UsageError:
    named = " ".join(f"-t '{task}'" for task in tasks)
    return UsageError(
        f"{no_answers(file)} {why}",
        f"sample more: forethought evaluate 'majority-vote(n=8)' -m {on.model} {named} "
        f"--temperature 0.8 --results {file}",
    )


def _fitted(
    kind: ProbeKind,
    found: Examples,
    reader: StateReader,
    tasks: tuple[str, ...],
    output: Path | str | None,
    rng: np.random.Generator,
) -> FittedProbe:
    folds = folds_of(found.clusters, rng)
    best = _best(kind, found, folds)
    head = best.fit(found.states, found.labels, found.weights)
    scores, labels = _ranked(best.logits, found.labels)
    whole = auroc_interval(scores, labels, found.weights, found.clusters, rng)
    record = ProbeRecord(
        kind=kind,
        network=reader.model.network.fingerprint,
        model=reader.model.name,
        data=_data_hash(found),
        tasks=tasks,
        told={
            **best.told,
            "questions": len(set(found.clusters)),
            "states": len(found.states),
            "auroc": [round(one, 4) for one in (whole.value, whole.low, whole.high)],
            "calibrated": False,
        },
    )
    content = written(head, record)
    if output is not None:
        _write(Path(output).expanduser(), content)
    shares = found.weights / found.weights.sum()
    mean = shares @ found.labels
    return FittedProbe(
        record=record,
        digest=digest_of(content) if output is not None else "",
        states=len(found.states),
        questions=len(set(found.clusters)),
        auroc=whole,
        cross_entropy=best.loss,
        base_cross_entropy=_constant_loss(mean),
        tasks=tuple(_of_task(name, found, scores, labels, rng) for name in tasks),
        scoring_tokens=reader.meter.tokens.get("scoring", 0),
        flops=reader.meter.flops,
        provenance={"forethought": metadata.version("forethought")},
    )


def _write(file: Path, content: bytes) -> None:
    """Write a file, whole or not at all."""
    try:
        fresh = file.with_name(f".{file.name}.part")
        fresh.write_bytes(content)
        fresh.replace(file)
    except OSError as error:
        raise UsageError(
            f"cannot write {file}: {error.strerror or error}", "name a file in a folder of yours"
        ) from error


def _best(kind: ProbeKind, found: Examples, folds: Floats) -> _Fitted:
    """The fit of least loss on held-out states."""
    fits: list[tuple[Fit, Mapping[str, object]]] = (
        [
            (HiddenLayer(), {"head": "hidden layer"}),
            *((MeansOfClasses(one), {"head": "class means", "noise": one}) for one in NOISES),
        ]
        if kind == "difficulty"
        else [(Logistic(one), {"head": "logistic", "penalty": one}) for one in PENALTIES]
    )
    shares = found.weights / found.weights.sum()
    tried = []
    for fit, told in fits:
        logits = held_out(fit, found.states, found.labels, found.weights, folds)
        loss = float(shares @ cross_entropy(logits, found.labels))
        tried.append(_Fitted(fit, logits, loss, told))
    return min(tried, key=lambda one: one.loss)


def _ranked(logits: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """Scores and labels [N] of the ranking; for classes, how normal a question is."""
    column = 0 if labels.shape[1] == 1 else 1
    return logits[:, column], labels[:, column]


def _constant_loss(mean: Floats) -> float:
    shares = np.append(mean, 1 - mean) if len(mean) == 1 else mean
    known = shares[shares > 0]
    return float(-(known * np.log(known)).sum())


def _of_task(
    name: str, found: Examples, scores: Floats, labels: Floats, rng: np.random.Generator
) -> TaskRanking:
    own = np.array([task == name for task in found.tasks])
    clusters = [one for one, mine in zip(found.clusters, own, strict=True) if mine]
    ranked = (
        auroc_interval(scores[own], labels[own], found.weights[own], clusters, rng)
        if own.any()
        else Interval(*(float("nan"),) * 3)
    )
    right = float(np.average(labels[own], weights=found.weights[own])) if own.any() else np.nan
    return TaskRanking(name, int(own.sum()), len(set(clusters)), right, ranked)


def _data_hash(found: Examples) -> str:
    digest = hashlib.sha256()
    for part in (found.states, found.labels, found.weights):
        digest.update(np.ascontiguousarray(part, dtype=np.float32).tobytes())
    digest.update("\n".join(found.clusters).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]
