"""The document of an estimated cost: plain JSON values, which text and charts are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from forethought.contracts.errors import UsageError
from forethought.cost.hourly_prices import HourlyPrice
from forethought.cost.idealized_runtime import Timed, fit
from forethought.cost.roofline import Machine, Phase
from forethought.cost.work import Work
from forethought.sessions.cost_alternatives import CostAlternative
from forethought.sessions.cost_estimate import CostEstimate
from forethought.sessions.cost_stages import CostRequest, CostStage


def cost_document(
    name: str,
    found: CostEstimate,
    request: CostRequest,
    machine: Machine,
    price: HourlyPrice | None,
    alternatives: Sequence[CostAlternative] = (),
) -> dict[str, Any]:
    """The estimate of the recipe called `name`."""
    cost = _cost(found.stages, machine, price)
    return {
        "recipe": name,
        "request": asdict(request),
        "hardware": machine.hardware.document(),
        "accelerators": machine.accelerators,
        "turning_point": machine.hardware.turning_point(machine.precision.eight_bit),
        "weights": machine.format,
        "cost": cost | {"peak_cache_bytes": found.cache_bytes},
        "timing": _timing(found, request),
        "stages": [_stage(stage, machine) for stage in found.stages],
        "exact": _cost(found.exact, machine, price)
        | {"stages": [_stage(stage, machine) for stage in found.exact]},
        "skipped": list(found.outweighed),
        "alternatives": [_alternative(one, request, machine, price) for one in alternatives],
        "kept": _kept(found, request),
        "memory": asdict(found.capacity),
        "price": None if price is None else asdict(price),
        "notes": list(found.notes),
    }


def _alternative(
    one: CostAlternative, request: CostRequest, machine: Machine, price: HourlyPrice | None
) -> dict[str, Any]:
    found = one.estimate
    return {
        "name": one.name,
        "draft": one.draft,
        "recipe": one.recipe.spelling,
        "cost": _cost(found.stages, machine, price) | {"peak_cache_bytes": found.cache_bytes},
        "timing": _timing(found, request),
        "stages": [_stage(stage, machine) for stage in found.stages],
        "kept": _kept(found, request),
    }


def _kept(found: CostEstimate, request: CostRequest) -> dict[str, float]:
    return {"prompt_tokens": found.prompt, "of": request.prompt, "entries": found.entries}


def _timing(found: CostEstimate, request: CostRequest) -> dict[str, float]:
    later = found.seconds - found.first_token
    per_token = later / (request.answer - 1) if request.answer > 1 else 0.0
    return {"first_token": found.first_token, "per_token": per_token}


def _cost(
    stages: tuple[CostStage, ...], machine: Machine, price: HourlyPrice | None
) -> dict[str, Any]:
    work, seconds = Work(), 0.0
    for stage in stages:
        work, seconds = work.plus(stage.phase.work), seconds + stage.phase.seconds
    return _work(work) | {"seconds": seconds} | _charges(seconds, machine, price)


def _charges(seconds: float, machine: Machine, price: HourlyPrice | None) -> dict[str, Any]:
    """Money and energy of all accelerators for some seconds; None where unknown."""
    watts = machine.hardware.watts
    return {
        "usd": None if price is None else price.usd * machine.accelerators * seconds / 3600,
        "joules": watts * machine.accelerators * seconds if watts else None,
    }


def runtime_document(
    timed: Sequence[Timed], request: CostRequest, machine: Machine, price: HourlyPrice | None
) -> dict[str, Any]:
    """The idealized runtime of a request, fitted to timed ones; UsageError for several at once."""
    if request.batch * request.samples > 1:
        raise UsageError(
            "--timed predicts one answer to one request",
            "leave out --batch and --samples",
        )
    plain, grown = fit(timed), fit(timed, by_context=True)
    return {
        "requests": len(timed),
        "first_token": plain.first_token(request.prompt),
        "per_token": plain.beta,
        "r_squared": plain.fit,
        "seconds": plain.seconds(request.prompt, request.answer),
        "seconds_by_context": grown.seconds(request.prompt, request.answer),
        "usd": None if price is None else plain.usd(*_sizes(request, machine), price.usd),
        "joules": plain.joules(*_sizes(request, machine), machine.hardware.watts) or None,
        "extrapolated": request.prompt > max(plain.prompts),
    }


def _sizes(request: CostRequest, machine: Machine) -> tuple[int, int, int]:
    return request.prompt, request.answer, machine.accelerators


def _work(work: Work) -> dict[str, float]:
    return asdict(work) | {"bytes_moved": work.bytes_moved, "intensity": work.intensity}


def _stage(stage: CostStage, machine: Machine) -> dict[str, Any]:
    phase = stage.phase
    return {
        "name": stage.name,
        **_work(phase.work),
        "seconds": phase.seconds,
        "bound": phase.bound,
        "passes": phase.passes,
        "operations": _operations(phase, machine),
    }


def _operations(phase: Phase, machine: Machine) -> list[dict[str, Any]]:
    """The operations of one pass, those of equal name and layers added up."""
    return [
        {
            "name": one.name,
            "layers": one.layers,
            **_work(one.total),
            "seconds": machine.seconds(one, phase.name),
            "bound": machine.bound(one),
        }
        for one in phase.operations
    ]
