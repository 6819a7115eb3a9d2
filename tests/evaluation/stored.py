"""Samples as a results file keeps them: of searches with their candidates, and of plain answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forethought.contracts.questions import Sample

PROMPT, OUTPUT = 100, 10
"""Tokens of a prompt and of each answer."""
READ, WRITE, SCORING = 2.0, 3.0, 5.0
"""FLOPs of a token read, written or scored."""


def candidate(
    place: int, text: str, *, log_probability: float = -5.0, score: float | None = None, **more: Any
) -> dict[str, Any]:
    """One answer of a search, judged by nobody."""
    return {
        "path": [place],
        "text": text,
        "tokens": OUTPUT,
        "log_probability": log_probability,
        "finish": "stop",
        "score": score,
        "weight": 1.0,
        "pruned": False,
        "chosen": place == 0,
        **more,
    }


def searched(
    question: str,
    candidates: Sequence[dict[str, Any]],
    *,
    recipe: str = "smollm2@majority-vote(n=4)",
    task: str = "addition",
    number: int = 0,
    scoring: int = 0,
    score: float = 0.0,
) -> Sample:
    """A search that wrote these candidates."""
    output = sum(one["tokens"] for one in candidates)
    cost = {
        "prompt_tokens": PROMPT,
        "output_tokens": output,
        "scoring_tokens": scoring,
        "draft_tokens": 0,
        "flops": READ * PROMPT + WRITE * output + SCORING * scoring,
    }
    return _sample(question, recipe, task, number, score, cost, candidates)


def plain(
    question: str,
    answer: str,
    score: float,
    *,
    recipe: str = "smollm2",
    task: str = "addition",
    number: int = 0,
    temperature: float | None = None,
) -> Sample:
    """One plain answer, at a temperature where one is given."""
    cost = {
        "prompt_tokens": PROMPT,
        "output_tokens": OUTPUT,
        "scoring_tokens": 0,
        "draft_tokens": 0,
        "flops": READ * PROMPT + WRITE * OUTPUT,
    }
    settings = {} if temperature is None else {"temperature": temperature}
    return _sample(question, recipe, task, number, score, cost, (), answer, settings)


def _sample(
    question: str,
    recipe: str,
    task: str,
    number: int,
    score: float,
    cost: dict[str, Any],
    candidates: Sequence[dict[str, Any]],
    answer: str = "",
    settings: dict[str, Any] | None = None,
) -> Sample:
    label = " ".join([recipe, *(f"--{name}={value}" for name, value in (settings or {}).items())])
    return Sample(
        key=f"{label} {task} {question} {number}",
        recipe=label,
        task=task,
        question=question,
        cluster=question,
        number=number,
        score=score,
        run={
            "answer": answer or (candidates[0]["text"] if candidates else ""),
            "recipe": recipe,
            "settings": settings or {},
            "finish": "stop",
            "cost": cost,
            "timing": {"first_token": 1.0},
            "exact": {"flops": READ * PROMPT + WRITE * OUTPUT, "cache_bytes": 1},
            "kept": {"prompt_tokens": PROMPT, "of": PROMPT, "cache_bytes": 1},
            "candidates": list(candidates),
        },
        provenance={},
    )
