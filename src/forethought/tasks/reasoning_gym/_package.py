"""The data sets of the package reasoning-gym, which is imported when one is needed."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from io import StringIO
from typing import Any, Protocol

from forethought.contracts.errors import BadParameterError, UnknownNameError, UsageError

QUESTIONS = 1000
"""Questions of a data set; fixed, since some data sets depend on their size."""
_EXECUTES = re.compile(r"\b(?:eval|exec|parse_expr|sympify)\((?!entry)")
"""Calls of a checker that run an answer as Python code, directly or through sympy."""
_DELEGATES = "composite"
"""The data set that is made of others, whose checkers are not visible."""


class GymDataSet(Protocol):
    """Questions by their number, and their checker."""

    def __getitem__(self, number: int, /) -> dict[str, Any]:
        """A question, its reference answer or none, and its metadata."""
        ...

    def score_answer(self, answer: str, entry: dict[str, Any]) -> float:
        """The points of an answer."""
        ...


@lru_cache(maxsize=8)
def data_set(name: str, seed: int, settings: str) -> GymDataSet:
    """The data set of this name; UsageError if it is absent, or if its checker executes answers."""
    package = _package()
    known = package.factory.DATASETS
    if name not in known:
        raise UnknownNameError.among("data set of reasoning-gym", name, known)
    made, _ = known[name]
    if name == _DELEGATES or _EXECUTES.search(inspect.getsource(made.score_answer)):
        raise UsageError(
            f"the checker of {name} runs answers as Python code",
            "name another data set of reasoning-gym",
        )
    try:
        with quiet():
            found: GymDataSet = package.create_dataset(
                name, seed=seed, size=QUESTIONS, **_options(settings)
            )
    except (TypeError, ValueError, AssertionError) as error:
        raise BadParameterError(
            f"reasoning-gym refuses settings={settings!r} of {name}: {error}",
            "give a JSON object with fields of the data set's configuration",
        ) from error
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what the package's generators print, and their warnings."""
    with redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _options(settings: str) -> dict[str, Any]:
    """The settings from JSON; ValueError for anything but an object, or for a seed or size."""
    found = json.loads(settings or "{}")
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")
    if taken := found.keys() & {"seed", "size"}:
        raise ValueError(f"{min(taken)} is a parameter of the task")
    return found


def _package() -> Any:
    try:
        with quiet():
            import reasoning_gym
    except ImportError as error:
        raise UsageError(
            "this task needs the package reasoning-gym, which is not installed",
            "pip install reasoning-gym",
        ) from error
    return reasoning_gym
