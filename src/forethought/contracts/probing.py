"""Probes of hidden states: their kinds, their record, and the result of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from forethought.contracts.comparison import Interval

ProbeKind = Literal["value-head", "p-ik", "restart-gain", "difficulty"]
"""value-head: will an answer that begins like this be right. p-ik: will a sample be right, before
any token. restart-gain: would a new attempt be no better. difficulty: easy, normal or hard."""
PROBE_KINDS: tuple[ProbeKind, ...] = get_args(ProbeKind)
AT_PROMPT: frozenset[ProbeKind] = frozenset({"p-ik", "difficulty"})
"""The kinds that read the end of the prompt; the others read the newest token of a candidate."""
CLASSES: Mapping[ProbeKind, tuple[str, ...]] = {
    "value-head": ("right",),
    "p-ik": ("right",),
    "restart-gain": ("no better",),
    "difficulty": ("easy", "normal", "hard"),
}
"""The outputs of each kind."""


@dataclass(frozen=True)
class ProbeRecord:
    """Facts about a fitted probe that its file holds beside the weights."""

    kind: ProbeKind
    network: str
    """Fingerprint of the network."""
    model: str
    """The model's name."""
    data: str
    """Hash of the states, labels and clusters that it was fitted to."""
    tasks: tuple[str, ...]
    told: Mapping[str, object] = field(default_factory=dict)
    """Settings and results of the fit."""


class TaskRanking(NamedTuple):
    """How well a probe ranks the held-out states of one task."""

    task: str
    states: int
    questions: int
    right: float
    """Mean label; each answer counts alike, however many states it has."""
    auroc: Interval


@dataclass(frozen=True)
class FittedProbe:
    """The result of `tune --probe`."""

    record: ProbeRecord
    digest: str
    """Digest of the file; empty if none was written."""
    states: int
    questions: int
    auroc: Interval
    """Of held-out states: those of questions that the fold's head was not fitted to."""
    cross_entropy: float
    """Mean over held-out states, in nats."""
    base_cross_entropy: float
    """The same of a head that always gives the mean label."""
    tasks: tuple[TaskRanking, ...]
    scoring_tokens: int
    """Tokens that were prefilled for their states."""
    flops: float
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
