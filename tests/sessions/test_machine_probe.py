"""The probe: rates that made the timings are found again, and it runs the engine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from forethought.sessions import machine_probe
from forethought.sessions.machine_probe import TimedPass, probe, rates

TINY = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": 256}  # fmt: skip


def test_rates_that_explain_the_timings_are_found() -> None:
    rng = np.random.default_rng(0)
    true = np.array([2e-3, 1e-4, 4e-11, 9e-11])
    terms = [(1.0, float(layers), float(weights), float(cache))
             for layers, weights, cache in zip(rng.integers(4, 30, 8), rng.uniform(1e6, 1e9, 8),
                                               rng.uniform(1e4, 1e8, 8), strict=True)]  # fmt: skip

    found = rates([TimedPass(one, float(np.dot(one, true))) for one in terms])

    assert found == pytest.approx(true, rel=1e-6)


def test_no_rate_is_negative() -> None:
    found = rates([TimedPass((1.0, 5.0), 1.0), TimedPass((1.0, 9.0), 0.5)])

    assert (found >= 0).all()


def test_the_probe_runs_the_engine_and_records_rates() -> None:
    ticks = itertools.count()

    found = probe(lambda: float(next(ticks)), [(TINY, 2), (TINY, 3)], (16, 32), (4, 24), 1)

    assert found.measured is not None
    assert set(found.measured.decode_bandwidth) == {"bf16", "int4"}
    assert found.name == "here"
    assert found.memory > 1e8


@pytest.mark.parametrize("cache", [1, 1 << 20, 40 << 20])
def test_the_decode_weights_of_the_deepest_decoder_exceed_the_cache(cache: int) -> None:
    config = machine_probe._config(TINY, 3)

    layers = machine_probe._layers_beyond(config, cache)

    held = layers * config.shape.layer_parameters * 5 / 8
    assert held > cache
    assert layers == 3 or held < 1.3 * cache + config.shape.layer_parameters


def test_the_deepest_decoder_leaves_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_probe, "has_memory_for", lambda size: size < 1 << 20)
    config = machine_probe._config(TINY, 3)

    layers = machine_probe._layers_beyond(config, 40 << 20)

    assert layers * config.shape.layer_parameters * 21 / 8 < 1 << 20
