"""Files of probes: what is written is read, and what is no probe is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forethought.beliefs.probes.file import digest_of, read, written
from forethought.contracts.candidates import Candidate, Piece, ProbeOutput
from forethought.contracts.errors import BadDataError, UsageError
from forethought.contracts.probing import ProbeRecord
from tests.beliefs.probes.probe_files import random_head, random_probe, write_probe

RECORD = ProbeRecord("value-head", "net", "m", "data", ("a", "b"), {"penalty": 0.1})


def test_a_probe_is_read_as_it_was_written(tmp_path):
    file, head = tmp_path / "p.safetensors", random_head(6)
    content = written(head, RECORD)
    file.write_bytes(content)

    found = read(str(file), "value-head")
    assert (found.record, found.key, found.network) == (RECORD, digest_of(content), "net")
    assert not found.at_prompt
    states = np.random.default_rng(1).normal(0, 1, (4, 6))
    assert found.head.probabilities(states) == pytest.approx(head.probabilities(states), abs=1e-6)
    assert found.outputs(states[0].tolist()) == tuple(found.head.probabilities(states)[0])
    assert found.flops == 2 * (6 + 6)
    assert written(head, RECORD) == content


def test_another_file_under_the_same_name_is_read_anew(tmp_path):
    file = tmp_path / "p.safetensors"
    first = random_probe(file, "p-ik", "net", 6)
    assert read(str(file), "p-ik", first).at_prompt
    second = random_probe(file, "p-ik", "net", 7, seed=1)
    assert read(str(file), "p-ik").key == second
    with pytest.raises(BadDataError, match=f"its digest is {second}, not {first}"):
        read(str(file), "p-ik", first)


def test_a_probe_of_another_kind_is_refused(tmp_path):
    file = tmp_path / "p.safetensors"
    random_probe(file, "p-ik", "net", 6)
    with pytest.raises(BadDataError, match="is one of p-ik, not of value-head"):
        read(str(file), "value-head")


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\0\0\0\0\0\0\0{}      ", b"\xff" * 40])
def test_what_is_no_probe_is_refused_with_a_hint(tmp_path, content):
    file = tmp_path / "p.safetensors"
    file.write_bytes(content)
    with pytest.raises(BadDataError, match="no probe that can be read") as raised:
        read(str(file), "value-head")
    assert "tune --probe value-head" in raised.value.hint


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadDataError, match="No such file"):
        read(str(tmp_path / "none"), "value-head")


def bad(change):
    head = random_head(6)
    ((weight, bias),) = head.maps
    return change(head, weight.copy(), bias.copy())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda h, w, b: replace(h, maps=((w * np.nan, b),)), "a weight is not a number"),
        (lambda h, w, b: replace(h, mean=h.mean[:3]), "the sizes of its parts differ"),
        (lambda h, w, b: replace(h, scale=h.scale * 0), "scale is not above 0"),
        (lambda h, w, b: replace(h, maps=((w, b[:0]),)), "no matching biases"),
        (lambda h, w, b: random_head(6, classes=3), "it has 3 outputs"),
    ],
)
def test_bad_weights_are_refused(tmp_path, change, why):
    file = tmp_path / "p.safetensors"
    write_probe(file, "value-head", "net", bad(change))
    with pytest.raises(BadDataError, match=why):
        read(str(file), "value-head")


def test_a_state_that_is_no_number_is_refused(tmp_path):
    file = tmp_path / "p.safetensors"
    random_probe(file, "value-head", "net", 2)
    with pytest.raises(BadDataError, match="is not a number"):
        read(str(file), "value-head").outputs([1.0, float("nan")])


def test_an_answer_without_an_output_is_no_answer_of_score_0(tmp_path):
    file = tmp_path / "p.safetensors"
    key = random_probe(file, "value-head", "net", 2)
    probe = read(str(file), "value-head")
    told = Piece("a", (1,), 1, -1.0, "stop", probed=(ProbeOutput(key, (0.25,)),))

    assert probe.of(Candidate().grown(0, told)) == (0.25,)
    with pytest.raises(UsageError, match="carries no output of the probe"):
        probe.of(Candidate().grown(0, replace(told, probed=(ProbeOutput("other", (0.25,)),))))
