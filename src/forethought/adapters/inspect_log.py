"""Writes stored samples as logs of inspect-ai, one for each recipe and task.

`inspect view`, `read_eval_log` and the data frames of inspect-ai read them.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inspect_ai.log import (
    EvalConfig,
    EvalDataset,
    EvalLog,
    EvalMetric,
    EvalPlan,
    EvalPlanStep,
    EvalResults,
    EvalSample,
    EvalScore,
    EvalSpec,
    EvalStats,
    write_eval_log,
)
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.scorer import Score

from forethought.contracts import spelling
from forethought.contracts.questions import Sample
from forethought.evaluation.stored_answers import StoredAnswer
from forethought.numerics.intervals import Clustered
from forethought.recipes.recipe import Recipe

SCORER = "forethought"
_STOPS = {"stop": "stop", "length": "max_tokens", "budget": "max_tokens",
          "content_filter": "content_filter", "refusal": "content_filter",
          "tool_calls": "tool_calls"}  # fmt: skip
_ASIDE = ("answer", "recipe", "run", "finish", "candidates")
"""Fields of a run that stand elsewhere in a log, or are too large for its metadata."""
_LIBRARIES = ("forethought", "torch", "numpy", "tokenizers")


def write_inspect_logs(answers: Iterable[StoredAnswer], folder: Path) -> list[Path]:
    """Write a log for each recipe and task into `folder`; a log of the same name is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    by_log: dict[tuple[str, str], list[StoredAnswer]] = defaultdict(list)
    for one in answers:
        by_log[one.wanted.name, one.wanted.task].append(one)
    files = []
    for (recipe, task), group in by_log.items():
        file = folder / _file_name(recipe, task)
        write_eval_log(inspect_log(group), file)
        files.append(file)
    return files


def inspect_log(answers: Sequence[StoredAnswer]) -> EvalLog:
    """The log of the samples of one recipe on one task."""
    first, samples = answers[0].wanted, [_sample(one) for one in answers]
    questions = list(dict.fromkeys(one.wanted.question.identifier for one in answers))
    model = _model(first.name)
    usage = sum((one.model_usage[model] for one in samples), ModelUsage())
    return EvalLog(
        status="success",
        eval=_spec(answers, questions),
        plan=EvalPlan(
            steps=[EvalPlanStep(solver="forethought", params={"recipe": first.name})],
            config=_generate_config(first.recipe),
        ),
        results=EvalResults(
            total_samples=len(samples),
            completed_samples=len(samples),
            scores=[_score(answers)],
        ),
        stats=EvalStats(model_usage={model: usage}),
        samples=samples,
    )


def _spec(answers: Sequence[StoredAnswer], questions: list[str]) -> EvalSpec:
    wanted, sample = answers[0]
    call = spelling.parse(wanted.task)
    provenance = dict(sample.provenance)
    epochs = 1 + max(one.wanted.number for one in answers)
    return EvalSpec(
        created=datetime.now(UTC).isoformat(),
        task=call.name,
        task_id=wanted.task,
        task_args=dict(call.settings),
        eval_id=_slug(f"{wanted.name} {wanted.task}"),
        dataset=EvalDataset(name=wanted.task, samples=len(questions), sample_ids=questions),
        model=_model(wanted.name),
        model_generate_config=_generate_config(wanted.recipe),
        model_args={"recipe": wanted.name},
        config=EvalConfig(epochs=epochs, epochs_reducer=["mean"]),
        packages={name: provenance[name] for name in _LIBRARIES if name in provenance},
        metadata={"recipe": wanted.name, "provenance": provenance},
    )


def _generate_config(recipe: Recipe) -> GenerateConfig:
    return GenerateConfig(
        max_tokens=recipe.max_tokens,
        temperature=recipe.warmth,
        top_p=recipe.top_p,
        top_k=recipe.top_k or None,
        stop_seqs=list(recipe.stop) or None,
    )


def _score(answers: Sequence[StoredAnswer]) -> EvalScore:
    """The mean score, and its standard error over clusters of questions."""
    values = [one.sample.score for one in answers]
    found = Clustered.of(values, [one.sample.cluster for one in answers])
    metrics = {"accuracy": found.mean, "stderr": found.error}
    return EvalScore(
        name=SCORER,
        scorer=SCORER,
        scored_samples=len(answers),
        unscored_samples=0,
        metrics={name: EvalMetric(name=name, value=value) for name, value in metrics.items()},
    )


def _sample(one: StoredAnswer) -> EvalSample:
    wanted, sample = one
    run, question, model = sample.run, wanted.question, _model(wanted.name)
    usage = _usage(run["cost"])
    asked = ChatMessageUser(content=question.asked)
    answer = ChatMessageAssistant(content=run["answer"], model=model, source="generate")
    choice = ChatCompletionChoice(message=answer, stop_reason=_STOPS.get(run["finish"], "unknown"))
    seconds = run["cost"].get("seconds")
    return EvalSample(
        id=question.identifier,
        epoch=1 + wanted.number,
        input=question.asked,
        target=list(question.answers),
        messages=[asked, answer],
        output=ModelOutput(model=model, choices=[choice], usage=usage, time=seconds),
        scores={SCORER: Score(value=sample.score, answer=run["answer"])},
        metadata=_metadata(sample),
        model_usage={model: usage},
        total_time=seconds,
        uuid=sample.key,
    )


def _usage(cost: dict[str, Any]) -> ModelUsage:
    """The target's tokens; those of drafts and scorers are in the sample's metadata."""
    read, cached = cost.get("prompt_tokens", 0), cost.get("cached_tokens", 0)
    written = cost.get("output_tokens", 0)
    return ModelUsage(
        input_tokens=read,
        input_tokens_cache_read=cached,
        output_tokens=written,
        total_tokens=read + cached + written,
        total_cost=cost.get("usd"),
    )


def _metadata(sample: Sample) -> dict[str, Any]:
    run = {name: value for name, value in sample.run.items() if name not in _ASIDE}
    candidates = sample.run.get("candidates", ())
    return {
        "recipe": sample.recipe,
        "cluster": sample.cluster,
        "candidates": len(candidates),
        **run,
    }


def _model(recipe: str) -> str:
    return f"forethought/{recipe}"


def _file_name(recipe: str, task: str) -> str:
    """A name that people can read; its digits keep apart names that only other signs tell apart."""
    digits = hashlib.sha256(f"{recipe}\0{task}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_slug(task)[:80]}--{_slug(recipe)[:120]}--{digits}.eval"


def _slug(text: str) -> str:
    """The text with each run of other characters than letters, digits, dots as one dash."""
    return re.sub(r"[^\w.=]+", "-", text).strip("-")
