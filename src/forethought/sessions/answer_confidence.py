"""How sure an answer is, as its run records it: calibrated where a fit applies, or labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from forethought.contracts.calibration import Calibration
from forethought.contracts.search import ConfidenceEstimate, Found
from forethought.recipes.recipe import Recipe

ABSTAINED = "abstained"
"""The finish reason of an answer that is withheld."""
_UNMEASURED = "the search ended before it was measured"


def answered_as(recipe: Recipe) -> str:
    """The label of the answers that a calibration is fitted on: the recipe without its judges."""
    unjudged = replace(recipe, confidence=(), abstain_below=0.0)
    return replace(unjudged, budget="", seed=0, max_tokens=Recipe.max_tokens).label


def confidence_document(
    recipe: Recipe, found: Found, known: Sequence[Calibration]
) -> dict[str, Any] | None:
    """The confidence of an answer; None if nothing measures it."""
    if not found.estimates and recipe.confidence:
        missed = {"value": None, "calibrated": False, "note": _UNMEASURED}
        told = [{**missed, "method": one} for one in recipe.confidence]
        return {**told[0], "estimates": told}
    if not found.estimates and found.settlement is not None:
        right = found.settlement.right
        ruled: dict[str, Any] = {"value": right, "method": "spend", "calibrated": False}
        return {**ruled, "estimates": [ruled]}
    if not found.estimates:
        if found.confidence is None:
            return None
        return {"value": found.confidence, "method": "agreement", "calibrated": False}
    fits = {one.method: one for one in known if one.answers == answered_as(recipe)}
    first, *_ = told = [_document(one, fits.get(one.method)) for one in found.estimates]
    return {**first, "estimates": told}


def reason_to_abstain(recipe: Recipe, confidence: dict[str, Any] | None) -> str:
    """Why the answer is withheld; empty if it is not."""
    least = recipe.abstain_below
    if not least or confidence is None:
        return ""
    value = confidence["value"]
    if value is None:
        return f"the confidence is not known: {confidence['note']}"
    if value >= least:
        return ""
    stated = "calibrated" if confidence["calibrated"] else "not calibrated"
    return f"the confidence {value:.2f} ({confidence['method']}, {stated}) is below {least:g}"


def _document(one: ConfidenceEstimate, fit: Calibration | None) -> dict[str, Any]:
    value = one.value
    found: dict[str, Any] = {
        "value": value if value is None or fit is None else fit.map(value),
        "method": one.method,
        "calibrated": fit is not None and value is not None,
        "raw": value,
        "cost": {name: held for name, held in one.cost.document().items() if held},
    }
    if fit is not None and value is not None:
        found["calibration"] = fit.summary()
    return {**found, "note": one.note} if one.note else found
