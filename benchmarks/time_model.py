"""How well `-x auto` predicts seconds: the roofline alone, and corrected by measured runs.

Requests of several recipes and lengths run in random order in one process. Half of them are the
timings; the errors are those of the other half.

    python benchmarks/time_model.py -m smollm2 --runs 32
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from forethought.models.load import load
from forethought.recipes.recipe import Recipe
from forethought.sessions.measurements import measurements
from forethought.sessions.session import Session, built_methods
from forethought.sessions.time_model import RunShape, TimeModel
from forethought.storage.timings import RunTiming, read_timings

METHODS = ((), ("truncate(keep=0.5)",), ("specpc-shallow(keep=0.25)",), ("snapkv(keep=256)",))
WORDS = [
    "the",
    "harbour",
    "office",
    "lists",
    "every",
    "ship",
    "by",
    "name,",
    "berth",
    "and",
    "hour",
]


def measured(name: str, runs: int, file: Path) -> list[RunTiming]:
    """The timings of requests under the methods in turn, at random lengths."""
    rng, model = np.random.default_rng(0), load(name)
    for number in range(runs + 1):  # the first one warms the process up
        recipe = Recipe(model=name, approximate=METHODS[number % len(METHODS)], max_tokens=24)
        words = int(rng.integers(400, 2400))
        document = " ".join(WORDS[n] for n in rng.integers(0, len(WORDS), words))
        kept = file if number else None
        session = Session(recipe, built_methods(recipe), model, model, timings=kept)
        *_, done = session.stream("Which ship arrives first?", document)
        timing = done.data["run"]["timing"]
        print(
            f"{number:3} {words:5} words  {timing['first_token']:.2f} s  {recipe.spelling}",
            flush=True,
        )
    known = measurements(model.network.device, {name: model})
    return read_timings(file, known.machine.name)


def main() -> None:
    """Print the errors of both predictions on the half that was not fitted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-m", "--model", default="smollm2")
    parser.add_argument("--runs", type=int, default=32)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measured(given.model, given.runs, Path(folder) / "timings.sqlite")
    known = replace(measurements(torch.device("cpu"), {}), timings=found)
    order = np.random.default_rng(1).permutation(len(found))
    fitted, held = ([found[n] for n in some] for some in np.array_split(order, 2))
    shapes = [RunShape.of(one) for one in held]
    took = np.array([one.first_token + one.decode for one in held])
    for title, timings in (("roofline", []), ("learned", fitted)):
        model = TimeModel.of(known.machine, known.sizes, timings, shapes)
        seen = [model.predict(run) for run in shapes]
        ratios = np.array([one.value for one in seen]) / took
        inside = np.mean([one.low <= t <= one.high for one, t in zip(seen, took, strict=True)])
        error = np.median(np.abs(ratios - 1))
        print(
            f"{title:9} {len(timings):3} runs: median error {100 * error:.0f} %, worst "
            f"{100 * np.abs(ratios - 1).max():.0f} %, median ratio {np.median(ratios):.2f}, "
            f"95 % intervals hold {100 * inside:.0f} % ({known.machine.rates})"
        )


if __name__ == "__main__":
    main()
