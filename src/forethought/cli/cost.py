"""`forethought cost`: FLOPs, bytes, time, memory and money of a recipe, without its weights."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from forethought.cli import files, options
from forethought.cli.grammar import Given
from forethought.cli.recipes import described_alone
from forethought.cli.stored_probe import checked_price
from forethought.cli.terminal import columns, has_colour, report, report_json, write
from forethought.contracts.errors import BadParameterError, UsageError
from forethought.cost.hardware import HERE, Hardware, hardware, read_hardware
from forethought.cost.hourly_prices import HourlyPrice, hourly_price, read_hourly
from forethought.cost.idealized_runtime import Timed, read_timed
from forethought.cost.precision import precision
from forethought.cost.roofline import Machine
from forethought.models.config_of import config_of
from forethought.models.known_configs import published_in_four_bits
from forethought.recipes.recipe import Recipe, is_remote
from forethought.reports.cost import cost_document, runtime_document
from forethought.sessions.cost_alternatives import alternatives
from forethought.sessions.cost_estimate import estimate
from forethought.sessions.cost_room import with_room_notes
from forethought.sessions.cost_stages import CostRequest
from forethought.storage.location import probe_file

_TOKENS = re.compile(r"(\d+(?:\.\d+)?)([kM]?)", re.ASCII)
_FACTORS = {"": 1, "k": 1 << 10, "M": 1 << 20}
_MOST = 1 << 24


def run(given: Given) -> int:
    """Predict FLOPs, bytes, time, memory and money of a recipe; no weights are needed."""
    for file in given[options.CHARTS]:
        files.check(Path(file), _FORMS)
    recipe = described_alone(given)
    if recipe.automatic:
        raise UsageError("auto chooses methods for one prompt at a time", "name the methods")
    if given[options.TASKS]:
        return _pass_costs(given, recipe)
    _check_alone(given)
    request = _request(given)
    timed = _timed(given[options.TIMED])
    if is_remote(recipe.model):
        raise UsageError(
            f"{recipe.model} is a server, which does not tell the sizes of its model",
            "name the model itself, such as qwen2.5-1.5b",
        )
    target = config_of(recipe.model)
    draft = None if recipe.draft == Recipe.draft else config_of(recipe.draft)
    machine = _machine(given, recipe)
    price = _price(given, machine.hardware)
    asked = recipe, target, draft, request, machine
    expected = with_room_notes(estimate(*asked), recipe, target, request)
    found = cost_document(
        recipe.spelling,
        expected,
        request,
        machine,
        price,
        alternatives(*asked) if expected.outweighed else (),
    )
    if timed:
        found["idealized"] = runtime_document(timed, request, machine, price)
    for file in given[options.CHARTS]:
        files.write(Path(file), _FORMS[Path(file).suffix](found))
    if given[options.JSON]:
        report_json(_json(found))
    else:
        # Imported late: JSON needs no text.
        from forethought.reports.terminal.cost import cost_text

        report(cost_text(found, width=columns(sys.stdout), colour=has_colour(sys.stdout)))
    return 0


def _timed(file: str | None) -> list[Timed]:
    return [] if file is None else read_timed(Path(file))


def _check_alone(given: Given) -> None:
    """Raise UsageError for options that only stored answers use."""
    recipes, results, human = (
        bool(given[options.RECIPES]),
        given[options.RESULTS] is not None,
        given[options.HUMAN] is not None,
    )
    if recipes or results or human:
        raise UsageError(
            "recipes, --results and --human are for stored answers, and no task is named",
            "name the task with -t, or methods with -x",
        )


def _pass_costs(given: Given, recipe: Recipe) -> int:
    """What a right answer costs, from stored answers."""
    if given[options.TIMED]:
        raise UsageError("--timed predicts a request, and a task is named", "leave out one of them")
    machine = _machine(given, recipe)
    # Imported late: costs of sizes alone need no numpy.
    from forethought.evaluation.pass_costs import RunPrice, pass_costs
    from forethought.reports.terminal.pass_costs import pass_costs_text

    found = pass_costs(
        given[options.RECIPES],
        given[options.TASKS],
        recipe,
        RunPrice(machine, _price(given, machine.hardware)),
        results=given[options.RESULTS],
        human=given[options.HUMAN],
    ).document()
    if given[options.JSON]:
        report_json(_json(found))
    else:
        report(pass_costs_text(found))
    return 0


def _request(given: Given) -> CostRequest:
    return CostRequest(
        _tokens("--prompt", given[options.PROMPT_TOKENS]),
        _tokens("--answer", given[options.ANSWER_TOKENS]),
        given[options.BATCH],
        given[options.ANSWERS],
    )


def _tokens(flag: str, text: str) -> int:
    found = _TOKENS.fullmatch(text.strip())
    count = float(found[1]) * _FACTORS[found[2]] if found else 0.0
    if not found or not 1 <= count <= _MOST or count % 1:
        raise BadParameterError(
            f"{flag} {text!r} is no number of tokens", "write it like 4096, 4k or 1M; k is 1,024"
        )
    return int(count)


def _machine(given: Given, recipe: Recipe) -> Machine:
    name = given[options.ON]
    found = _hardware(name, given)
    here = found.measured is not None
    weights = recipe.weights
    if weights == "auto":
        weights = "int4" if here and published_in_four_bits(recipe.model) else "bf16"
    return Machine(found, precision(weights, here=here), weights, given[options.ACCELERATORS])


def _hardware(name: str, given: Given) -> Hardware:
    if name != HERE:
        if given[options.PROBE]:
            raise UsageError("--probe measures this machine", f"leave out --on {name}")
        return read_hardware(Path(name)) if name.endswith(".json") else hardware(name)
    stored = probe_file()
    if given[options.PROBE] or not stored.is_file():
        _probe(stored, given[options.THREADS])
    return read_hardware(stored)


def _probe(stored: Path, threads: int | None) -> None:
    from forethought.cli.torch_start import start_torch

    write(sys.stderr, f"measuring this machine, about ten seconds, for {stored}\n")
    start_torch(threads)
    from forethought.sessions.machine_probe import probe

    stored.parent.mkdir(parents=True, exist_ok=True)
    files.write(stored, json.dumps(probe().document(), indent=1) + "\n")


def _price(given: Given, machine: Hardware) -> HourlyPrice | None:
    stated, file = checked_price(given[options.USD_PER_HOUR]), given[options.PRICE_FILE]
    if stated is not None:
        return HourlyPrice(stated, "stated", "now")
    return hourly_price(machine.name, read_hourly(Path(file)) if file else {})


def _json(found: dict[str, Any]) -> str:
    return json.dumps(found, ensure_ascii=False, indent=2)


def _svg(found: dict[str, Any]) -> str:
    from forethought.reports.charts.roofline import roofline_svg

    return roofline_svg(found)


def _file(found: dict[str, Any]) -> str:
    return _json(found) + "\n"


_FORMS = {".svg": _svg, ".json": _file}
