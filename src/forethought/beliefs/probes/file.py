"""Probes as safetensors files: weights, and a record as metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from forethought.beliefs.probes.head import ProbeHead
from forethought.contracts.candidates import Candidate
from forethought.contracts.errors import BadDataError, UsageError
from forethought.contracts.probing import AT_PROMPT, CLASSES, PROBE_KINDS, ProbeRecord

_KEY, _FORMAT = "probe", "forethought-probe-1"
_LONGEST = 64 << 20
"""Bytes of a file that is read: a head of a wide model takes a few megabytes."""
_FIT = "fit one: forethought tune --probe {} -o FILE.safetensors"


@dataclass(frozen=True)
class StoredProbe:
    """A probe read from a file; it implements `StateProbe`."""

    name: str
    key: str
    record: ProbeRecord
    head: ProbeHead

    @property
    def at_prompt(self) -> bool:
        """Whether it reads the end of the prompt."""
        return self.record.kind in AT_PROMPT

    @property
    def network(self) -> str:
        """The fingerprint of the network that it was fitted to."""
        return self.record.network

    @cached_property
    def flops(self) -> float:
        """FLOPs of the outputs for one state."""
        return self.head.flops

    def of(self, candidate: Candidate) -> tuple[float, ...]:
        """The probabilities that a candidate carries; UsageError if it has none."""
        found = candidate.outputs_of(self.key)
        if found is None:
            raise UsageError(
                f"an answer carries no output of the probe {self.name}: another model wrote it, or "
                "it has no token",
                "use a strategy whose answers the model itself writes",
            )
        return found

    def outputs(self, state: Any) -> tuple[float, ...]:
        """The probabilities for one state [hidden]."""
        states = np.asarray(state, dtype=float)[None]
        if not np.isfinite(states).all():
            raise BadDataError(
                f"the hidden state that the probe {self.name} reads is not a number",
                "the model's weights are damaged, or too large for their format: try "
                "--weights bf16",
            )
        return tuple(self.head.probabilities(states)[0].tolist())


def written(head: ProbeHead, record: ProbeRecord) -> bytes:
    """The bytes of a probe's file."""
    # Imported here: no verb but `tune` writes one.
    from safetensors.numpy import save

    parts = {"mean": head.mean, "scale": head.scale}
    for number, (weight, bias) in enumerate(head.maps):
        parts |= {f"weight{number}": weight, f"bias{number}": bias}
    tensors = {name: np.ascontiguousarray(part, dtype=np.float32) for name, part in parts.items()}
    # One entry: safetensors keeps no order among several, and equal probes are to be equal files.
    told = json.dumps({"format": _FORMAT, **asdict(record)}, sort_keys=True)
    return bytes(save(tensors, {_KEY: told}))


def digest_of(content: bytes) -> str:
    """A name of the file's content."""
    return "h" + hashlib.sha256(content).hexdigest()[:12]


def read(path: str, kind: str, digest: str = "") -> StoredProbe:
    """The probe of this kind in a file.

    Raises BadDataError if the file holds none, or another one than `digest` names.
    """
    file = Path(path).expanduser()
    try:
        stamp = file.stat()
    except OSError as error:
        raise _unreadable(path, kind, error.strerror or str(error)) from error
    found = _read(file, stamp.st_mtime_ns, stamp.st_size, kind)
    if found.record.kind != kind:
        raise BadDataError(
            f"the probe {path} is one of {found.record.kind}, not of {kind}",
            _FIT.format(kind),
        )
    if digest and digest != found.key:
        raise BadDataError(
            f"the probe {path} is another one: its digest is {found.key}, not {digest}",
            f"name digest={found.key}, or fit the probe anew under another name",
        )
    return found


@lru_cache(16)
def _read(file: Path, changed: int, size: int, kind: str) -> StoredProbe:
    """The probe in a file; `changed` and `size` tell its versions apart."""
    if size > _LONGEST:
        raise _unreadable(str(file), kind, f"{size:,} bytes are too many for a probe")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise _unreadable(str(file), kind, error.strerror or str(error)) from error
    try:
        tensors, metadata = _parts(content)
        record, head = _record(metadata), _head(tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(str(file), kind, str(error)) from error
    problem = head.problem()
    if not problem and head.classes != len(CLASSES[record.kind]):
        problem = f"it has {head.classes} outputs, and {record.kind} has another number"
    if problem:
        raise _unreadable(str(file), kind, problem)
    return StoredProbe(file.name, digest_of(content), record, head)


def _parts(content: bytes) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    length = int.from_bytes(content[:8], "little")
    return tensors, json.loads(content[8 : 8 + length]).get("__metadata__", {})


def _record(metadata: Mapping[str, str]) -> ProbeRecord:
    held = json.loads(metadata.get(_KEY, "{}"))
    if (stated := held.pop("format", None)) != _FORMAT:
        raise ValueError(f"its format is {stated!r}, not {_FORMAT!r}")
    found = ProbeRecord(**{**held, "tasks": tuple(held["tasks"])})
    if found.kind not in PROBE_KINDS:
        raise ValueError(f"its kind {found.kind!r} is not one of {', '.join(PROBE_KINDS)}")
    return found


def _head(tensors: Mapping[str, Any]) -> ProbeHead:
    parts = {name: np.asarray(part, dtype=float) for name, part in tensors.items()}
    count = sum(name.startswith("weight") for name in parts)
    maps = tuple((parts[f"weight{n}"], parts[f"bias{n}"]) for n in range(count))
    return ProbeHead(parts["mean"], parts["scale"], maps)


def _unreadable(path: str, kind: str, why: str) -> UsageError:
    return BadDataError(f"{path} is no probe that can be read: {why}", _FIT.format(kind))
