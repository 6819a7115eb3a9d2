"""Answers questions with open language models and decides how to spend inference compute.

    >>> from forethought import ask
    >>> ask("What is an eclipse?", "smollm2")["answer"]

Everything outside the names here may move.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from forethought.contracts.errors import ForethoughtError, ModelError, UsageError
    from forethought.contracts.records import Cost, Event, Run
    from forethought.evaluation.compare import compare, evaluate
    from forethought.evaluation.forecast import forecast
    from forethought.evaluation.tune import tune
    from forethought.models.load import load
    from forethought.models.model import Model
    from forethought.recipes.recipe import Recipe
    from forethought.sessions.ask import ask, conversation, stream
    from forethought.sessions.compress import compress
    from forethought.sessions.session import Session

_HOMES = {
    "Cost": "contracts.records",
    "Event": "contracts.records",
    "ForethoughtError": "contracts.errors",
    "Model": "models.model",
    "ModelError": "contracts.errors",
    "Recipe": "recipes.recipe",
    "Run": "contracts.records",
    "Session": "sessions.session",
    "UsageError": "contracts.errors",
    "ask": "sessions.ask",
    "compare": "evaluation.compare",
    "compress": "sessions.compress",
    "conversation": "sessions.ask",
    "evaluate": "evaluation.compare",
    "forecast": "evaluation.forecast",
    "load": "models.load",
    "stream": "sessions.ask",
    "tune": "evaluation.tune",
}

__all__ = [
    "Cost",
    "Event",
    "ForethoughtError",
    "Model",
    "ModelError",
    "Recipe",
    "Run",
    "Session",
    "UsageError",
    "ask",
    "compare",
    "compress",
    "conversation",
    "evaluate",
    "forecast",
    "load",
    "stream",
    "tune",
]


def __getattr__(name: str) -> Any:
    # Looked up when first used, since half of them bring torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'forethought' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"forethought.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
