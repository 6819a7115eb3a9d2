"""Settings of the engine that change its speed, and the measured seconds of requests under them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch

from forethought.contracts.errors import BadParameterError, UnknownNameError
from forethought.contracts.parameters import Whole
from forethought.engine.meter import Clock
from forethought.models.hardware.threads import most_threads
from forethought.recipes.recipe import WEIGHTS, Recipe
from forethought.sessions.batch import Answers
from forethought.sessions.batch_question import BatchQuestion
from forethought.sessions.this_machine import machine_name
from forethought.storage.provenance import provenance
from forethought.storage.request_seconds import RequestSeconds

TIMED = 16
"""Questions whose time is measured."""
REPEATS = 2
"""Measurements, of which the fastest counts."""
_PAIR = re.compile(r"\s*([\w-]+)\s*=\s*([^\s,]+)\s*")
_HINT = "write them like 'threads=1|2, rows=1|4|8, weights=bf16|int4'"


@dataclass(frozen=True)
class EngineSettings:
    """Settings of the engine; 0 and an empty text leave the default."""

    threads: int = 0
    """Threads of a forward pass."""
    rows: int = 0
    """Questions that are answered at once."""
    weights: str = ""
    """The weight format."""

    @classmethod
    def of(cls, text: str) -> EngineSettings:
        """Parse `threads=2, rows=8, weights=int4`."""
        known = ("threads", "rows", "weights")
        found: dict[str, str] = {}
        for part in filter(str.strip, text.split(",")):
            pair = _PAIR.fullmatch(part)
            if pair is None:
                raise BadParameterError(f"{part.strip()!r} is no engine setting", _HINT)
            if pair[1] not in known:
                raise UnknownNameError.among("engine setting", pair[1], known)
            found[pair[1]] = pair[2]
        weights = found.get("weights", "")
        if weights and weights not in WEIGHTS:
            raise UnknownNameError.among("weight format", weights, WEIGHTS)
        threads = _count("threads", found, os.cpu_count() or 1)
        return cls(threads, _count("rows", found, 256), weights)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Run with these threads, and restore the earlier number."""
        before = torch.get_num_threads()
        if self.threads:
            torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            if self.threads:
                torch.set_num_threads(before)


def _count(name: str, found: dict[str, str], most: int) -> int:
    text = found.get(name, "0")
    value = int(text) if text.isdecimal() else -1
    if name in found and (problem := Whole(1, most).problem(value)):
        raise BadParameterError(f"{name}={text} {problem}", _HINT)
    return value


@dataclass(frozen=True)
class Stopwatch:
    """Measures the seconds of requests, once for each recipe and engine setting."""

    answers: Answers
    stored: RequestSeconds
    clock: Clock

    def seconds(
        self, recipe: Recipe, engine: EngineSettings, questions: Sequence[BatchQuestion]
    ) -> float:
        """Mean seconds of a question; as stored in the results file if they are there."""
        asks = questions[:TIMED]
        key = _key(recipe, engine, asks)
        if (held := self.stored.get(key)) is not None:
            return held
        rows = engine.rows or self.answers.at_once(recipe)
        with engine.applied():
            self._answer(asks[:1], 1)  # loads the model and its kernels
            taken = min(self._timed(asks, rows) for _ in range(REPEATS)) / len(asks)
        self.stored.put(key, taken)
        return taken

    def _timed(self, asks: Sequence[BatchQuestion], rows: int) -> float:
        start = self.clock()
        self._answer(asks, rows)
        return self.clock() - start

    def _answer(self, asks: Sequence[BatchQuestion], rows: int) -> None:
        for first in range(0, len(asks), rows):
            for _ in self.answers.answer(asks[first : first + rows]):
                pass


def _key(recipe: Recipe, engine: EngineSettings, asks: Sequence[BatchQuestion]) -> str:
    """The key of a measurement: of the recipe, the engine, the machine and the questions."""
    machine = machine_name({**provenance(), "threads": str(engine.threads or most_threads())})
    texts = [[one.question, one.document] for one in asks]
    parts = ["seconds", 1, recipe.to_json(), asdict(engine), machine, texts]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()
