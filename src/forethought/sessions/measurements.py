"""The measurements that automatic choices read: stored answers, timings and sizes of models."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from forethought.contracts.choices import AutoChoice
from forethought.contracts.errors import ForethoughtError, StoreError
from forethought.contracts.questions import Sample
from forethought.models.config_of import local_config
from forethought.models.decoder.config import DecoderConfig
from forethought.models.decoder.decoder import Decoder
from forethought.models.model import Model
from forethought.recipes.recipe import Recipe
from forethought.sessions.auto import Measurements
from forethought.sessions.auto_weights import choose_weights
from forethought.sessions.this_machine import this_machine
from forethought.storage.location import results_file, timings_file
from forethought.storage.store import Store
from forethought.storage.timings import RunTiming, read_timings


def stored_samples() -> list[Sample]:
    """The samples of the results file; empty if there is no file."""
    file = results_file()
    if not file.is_file():
        return []
    with Store.open(file) as store:
        return store.samples()


def measurements(device: torch.device, models: Mapping[str, Model]) -> Measurements:
    """All that is stored, for predictions on a device; `models` are the loaded ones, by name."""
    machine = this_machine(device)

    def sizes(name: str) -> DecoderConfig | None:
        network = models[name].network if name in models else None
        if isinstance(network, Decoder):
            return network.config
        try:
            return local_config(name)
        except ForethoughtError:  # the model is damaged, or of an unknown family
            return None

    return Measurements(machine, sizes, _timings(machine.name), stored_samples())


def _timings(machine: str) -> list[RunTiming]:
    try:
        return read_timings(timings_file(), machine)
    except StoreError:  # a damaged file of timings must not lose an answer
        return []


def chosen_weights(recipe: Recipe) -> tuple[AutoChoice, ...]:
    """The choice of a format that may change answers, if `-x auto` allows a loss."""
    if not recipe.automatic or recipe.weights != "auto" or torch.cuda.is_available():
        return ()
    choice = choose_weights(recipe, measurements(torch.device("cpu"), {}))
    return () if choice is None else (choice,)
