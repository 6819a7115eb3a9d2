"""Machines of known rates, and timings on them."""

from __future__ import annotations

from dataclasses import replace

from forethought.cost.hardware import TABLE
from forethought.sessions.auto import Measurements
from forethought.sessions.this_machine import ThisMachine
from forethought.sessions.time_model import Roofline, RunShape
from forethought.storage.timings import RunTiming
from tests.tiny_model import tiny_model

HERE = ThisMachine("here", TABLE["i9-13900k"], "a data sheet")
BIG = tiny_model("target", seed=1, num_hidden_layers=12)
SMALL = tiny_model("same-tokens", seed=2, num_hidden_layers=2)
CONFIGS = {"target": BIG.network.config, "same-tokens": SMALL.network.config}
ROOFLINE = Roofline(HERE, CONFIGS.get)


def shape(prompt=2000, methods=(), rows=1, weights="bf16", draft="self", alone=True, output=40):
    return RunShape("target", draft, tuple(methods), weights, rows, prompt, output, alone)


def timed(run: RunShape, slower=1.0, decode=None) -> RunTiming:
    """The timing of a run that takes this many times the roofline's seconds."""
    first, later = ROOFLINE.seconds(run)
    slow = slower if decode is None else decode
    return RunTiming(**vars(run), first_token=slower * first, decode=slow * later)


def known(timings=(), samples=(), machine=HERE, sizes=CONFIGS.get) -> Measurements:
    return Measurements(replace(machine), sizes, list(timings), list(samples))
