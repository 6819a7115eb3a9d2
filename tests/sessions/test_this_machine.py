"""The name and the rates of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from forethought.cost.hardware import TABLE
from forethought.sessions.this_machine import _accelerator, machine_name, this_machine
from forethought.storage.location import probe_file
from forethought.storage.provenance import provenance

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
    ],
)
def test_an_accelerator_of_the_table_has_its_rates(title: str, key: str) -> None:
    found = _accelerator("here", title)

    assert found.hardware == TABLE[key]
    assert found.known


def test_other_accelerators_have_assumed_rates() -> None:
    found = _accelerator("here", "NVIDIA T400")

    assert not found.known
    assert "NVIDIA T400 is not in the table" in found.rates


def test_a_processor_has_the_rates_of_its_probe(own_cache: Path) -> None:
    assumed = this_machine(CPU)
    assert not assumed.known
    assert "forethought cost --on here --probe" in assumed.rates

    probe_file().parent.mkdir(parents=True, exist_ok=True)
    probe_file().write_text(json.dumps(TABLE["m3"].document()))
    found = this_machine(CPU)
    probe_file().write_text("{")
    damaged = this_machine(CPU)

    assert found.hardware == TABLE["m3"]
    assert found.known
    assert damaged == assumed


def test_the_name_tells_machines_and_threads_apart() -> None:
    made = provenance("cpu")

    assert this_machine(CPU).name == machine_name(made)
    for field in ("processor", "cores", "threads", "device"):
        assert machine_name({**made, field: "other"}) != machine_name(made)
    assert machine_name({**made, "torch": "other"}) == machine_name(made)
