"""Probes with random heads, as files."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from forethought.beliefs.probes.file import digest_of, written
from forethought.beliefs.probes.head import ProbeHead
from forethought.contracts.probing import CLASSES, ProbeRecord


def random_head(size, classes=1, width=0, seed=0):
    """A head with random parts; a hidden layer if `width`."""
    rng = np.random.default_rng(seed)
    sizes = [size, width, classes] if width else [size, classes]
    maps = tuple(
        (rng.normal(0, 0.5, (out, into)), rng.normal(0, 0.2, out)) for into, out in pairwise(sizes)
    )
    return ProbeHead(rng.normal(0, 1, size), rng.uniform(0.5, 2, size), maps)


def write_probe(path, kind, network, head):
    """Write a probe's file; returns its digest."""
    content = written(head, ProbeRecord(kind, network, "target", "d", ("t",)))
    path.write_bytes(content)
    return digest_of(content)


def random_probe(path, kind, network, size, seed=0):
    """A file with a random head of this kind; returns its digest."""
    width = 5 if kind == "difficulty" else 0
    return write_probe(path, kind, network, random_head(size, len(CLASSES[kind]), width, seed))
