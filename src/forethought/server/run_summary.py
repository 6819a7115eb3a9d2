"""The run of a request, as usage and as the `forethought` object of a response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forethought.recipes.recipe import Recipe
from forethought.server.metrics import prompt_tokens
from forethought.sessions.answer_confidence import ABSTAINED

_FINISHES = {"stop": "stop", "tool_calls": "tool_calls", "content_filter": "content_filter",
             "refusal": "content_filter", ABSTAINED: "stop"}  # fmt: skip
Run = Mapping[str, Any]


def finish_reason(finish: str) -> str:
    """OpenAI's name of a finish reason; all limits are `length`."""
    return _FINISHES.get(finish, "length")


def choices_of(run: Run, recipe: Recipe) -> list[tuple[str, str]]:
    """The text and the finish reason of each choice of a run."""
    if not recipe.plain or not run["candidates"]:  # a search's candidates are no choices
        return [(run["answer"], finish_reason(run["finish"]))]
    return [(one["text"], finish_reason(one["finish"])) for one in run["candidates"]]


def withheld(run: Run) -> str:
    """Why the answer of a run is withheld; empty if it is not."""
    found: str = (run["confidence"] or {}).get(ABSTAINED, "")
    return found


def usage(runs: Sequence[Run], reasoning: int = 0, *, discards: bool = False) -> dict[str, Any]:
    """The tokens of runs in OpenAI's shape, with our own counts among the details.

    With `discards`, no decoded token was asked for.
    """
    costs = [run["cost"] for run in runs]

    def total(name: str) -> int:
        return sum(cost[name] for cost in costs)

    # Drafts count as predictions only where the client has sent one.
    predicted = [one["cost"] for one in runs if "prediction" in one["recipe"].split("+")]
    verified, accepted = (
        sum(cost.get(name, 0) for cost in predicted)
        for name in ("verified_tokens", "accepted_tokens")
    )
    prompt = sum(map(prompt_tokens, runs))
    output = 0 if discards else total("output_tokens")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {
            "cached_tokens": total("cached_tokens"),
            "cache_write_tokens": 0,
            "kept_tokens": sum(run["kept"]["prompt_tokens"] for run in runs),
            "draft_tokens": total("draft_tokens"),
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "accepted_prediction_tokens": accepted,
            "rejected_prediction_tokens": verified - accepted,
            "scoring_tokens": total("scoring_tokens"),
        },
    }


def summary(run: Run, response: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """The `forethought` object: the cost of the run and the kept part of its prompt."""
    kept = run["kept"]
    return {
        "run": response,
        "recipe": run["recipe"],
        "seed": run["seed"],
        "finish": run["finish"],
        "confidence": run["confidence"],
        "cost": run["cost"],
        "exact": run["exact"],
        "timing": run["timing"],
        "kept": {"prompt_tokens": kept["prompt_tokens"], "of": kept["of"],
                 "cache_bytes": kept["cache_bytes"]},
        "notes": [*run["notes"], *notes],
    }  # fmt: skip
