"""Fingerprints tell models apart, and formats of one model not."""

from __future__ import annotations

import torch

from forethought.models.checkpoint.fingerprint import weights_fingerprint
from tests.tiny import tiny_decoder, tiny_tensors


def test_a_fingerprint_is_that_of_the_weights_whatever_their_dtype() -> None:
    wide, narrow = tiny_decoder(dtype=torch.float64), tiny_decoder(dtype=torch.float32)

    assert wide.fingerprint == narrow.fingerprint == tiny_decoder().fingerprint
    assert wide.fingerprint != tiny_decoder(seed=1).fingerprint
    assert wide.for_long_texts().fingerprint == wide.fingerprint


def test_one_changed_tensor_changes_it_and_their_order_does_not() -> None:
    _, tensors = tiny_tensors()
    found = weights_fingerprint(tensors)
    name, changed = next((n, t.clone()) for n, t in tensors.items() if n.endswith("qkv.weight"))
    changed[0, 0] += 1

    assert weights_fingerprint(dict(reversed(tensors.items()))) == found
    assert weights_fingerprint({**tensors, name: changed}) != found
    assert weights_fingerprint({f"{n}x": t for n, t in tensors.items()}) != found
