"""`audit`: a provenance test from the order of training examples.

Paper: "Blackbox Model Provenance via Palimpsestic Membership Inference", arXiv:2510.19796, in its
query setting. A model recalls later training examples better than earlier ones, and so do models
derived from it. The test correlates the place of an example in the order with the model's loss,
minus the loss of a reference model. The order was drawn at random, so a model that never met it
gives a uniform p-value, whatever the examples are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from forethought.contracts.auditing import Audit
from forethought.contracts.errors import BadDataError, PromptTooLongError, UsageError
from forethought.engine.meter import Meter
from forethought.evaluation.window_losses import WindowLosses
from forethought.models.load import load
from forethought.models.model import Model
from forethought.numerics.order_test import order_test
from forethought.recipes.recipe import Recipe, is_remote
from forethought.tasks.files import content_of

TOKENS = 32
"""The paper's length of the prefix, and of the window."""
LEAST = 20
"""Least sequences; with fewer, the test has next to no power."""
_FORM = 'write a training sequence a line, in the order of training: {"text": "..."}'
Progress = Callable[[int, int], None]
"""Called with (sequences scored, sequences), of all models together."""


@dataclass(frozen=True)
class AuditSettings:
    """What is scored of each sequence, and the random orders of the test."""

    prefix: int = TOKENS
    window: int = TOKENS
    permutations: int = 9999
    seed: int = 0


def audit(
    order: Path | str,
    base: Recipe | str = "smollm2",
    reference: str = "",
    *,
    settings: AuditSettings | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Test a model against a file of training sequences in their order of training.

    Raises UsageError for a server or a recipe with methods, and BadDataError for a file that is no
    such order.
    """
    on = Recipe.parse(base) if isinstance(base, str) else base
    for name in (on.model, reference):
        if is_remote(name):
            raise UsageError(
                f"{name} is a server, which scores no given text", "audit a model that runs here"
            )
    if on.approximate:
        raise UsageError(
            f"an audit reads the model alone, and {on.spelling} has methods", "leave them out"
        )
    texts = read_order(str(order))
    suspect = load(on.model, weights=on.weights)
    other = load(reference, weights=on.weights) if reference else None
    return audited(texts, suspect, other, settings or AuditSettings(), progress)


def read_order(path: str) -> list[str]:
    """The texts of a JSONL file, in its order."""
    lines = content_of(path, _FORM).splitlines()
    return [_text(line, f"{path}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]


def _text(line: bytes, where: str) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadDataError(f"{where} is no JSON object with a text", _FORM) from error
    if type(text) is not str:
        raise BadDataError(f"the text of {where} is no string", _FORM)
    return text


def audited(
    texts: Sequence[str],
    suspect: Model,
    reference: Model | None,
    settings: AuditSettings,
    progress: Progress | None = None,
) -> Audit:
    """The audit of a loaded model; `texts` stand in the order of training."""
    models = [suspect] if reference is None else [suspect, reference]
    scorers = [_scorer(model, settings) for model in models]
    tokens = [[one.tokens(text) for text in texts] for one in scorers]
    whole = [n for n in range(len(texts)) if all(_fills(own[n], settings) for own in tokens)]
    if len(whole) < LEAST:
        raise BadDataError(
            f"{len(whole)} of {len(texts)} sequences have {settings.prefix + settings.window} "
            f"tokens, and {LEAST} are the least",
            "give more or longer sequences, or a smaller --prefix and --window",
        )
    scored = _counted(progress, len(whole) * len(models))
    columns = [
        one.of([own[n] for n in whole], scored) for one, own in zip(scorers, tokens, strict=True)
    ]
    losses = columns[0] if reference is None else columns[0] - columns[1]
    rng = np.random.default_rng(settings.seed)
    found = order_test(losses, rng, settings.permutations)
    return Audit(
        model=suspect.name,
        reference="" if reference is None else reference.name,
        sequences=len(whole),
        short=len(texts) - len(whole),
        prefix=settings.prefix,
        window=settings.window,
        loss=float(columns[0].mean()),
        reference_loss=None if reference is None else float(columns[1].mean()),
        correlation=found.correlation,
        p_value=found.p_value,
        p_two_sided=found.p_two_sided,
        permutations=settings.permutations,
        seed=settings.seed,
        scored_tokens=sum(one.meter.tokens.get("scoring", 0) for one in scorers),
        flops=sum(one.meter.flops for one in scorers),
        provenance={"forethought": metadata.version("forethought")},
    )


def _scorer(model: Model, settings: AuditSettings) -> WindowLosses:
    longest = settings.prefix + settings.window
    if longest > model.shape.context:
        raise PromptTooLongError(
            f"prefix and window have {longest:,} tokens, but {model.name} holds "
            f"{model.shape.context:,}",
            "make --prefix or --window smaller",
        )
    return WindowLosses(model, Meter(time.perf_counter), settings.prefix, settings.window)


def _fills(tokens: Sequence[int], settings: AuditSettings) -> bool:
    return len(tokens) == settings.prefix + settings.window


def _counted(progress: Progress | None, total: int) -> Callable[[int], None]:
    done = 0

    def scored(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, total)

    return scored
