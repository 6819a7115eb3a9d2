"""`tune --train-pfn` as a command, and its network in a forecast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forethought.cli.main import exit_code
from forethought.evaluation.look_ahead import LookAhead
from forethought.numerics.equal_cost import UnitCost
from tests.evaluation.test_curves import population


@pytest.mark.parametrize("name", ["coverage", "rate-filter"])
def test_a_network_is_trained_into_a_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "n.safetensors"

    code = exit_code(["tune", "--train-pfn", name, "--steps", "2", "-o", str(file), "--json"])

    told = capsys.readouterr()
    assert code == 0
    assert json.loads(told.out)["network"] == name
    assert "step 2 of 2" in told.err
    assert file.exists()
    assert not file.with_name("n.safetensors.partial").exists()
    if name == "coverage":
        drawn, price = population(12, 4, seed=0), UnitCost(0.0, 1.0)
        (found,) = LookAhead(8, file).beliefs(drawn, [8], price, price)
        (banked,) = LookAhead(8).beliefs(drawn, [8], price, price)
        assert found.vote == banked.vote
        assert found.oracle != banked.oracle


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--train-pfn", "coverag"], "did you mean coverage?"),
        (["--train-pfn", "coverage"], "-o FILE.safetensors"),
        (["--train-pfn", "coverage", "-o", "n.json"], "use one of the extensions .safetensors"),
        (["--train-pfn", "coverage", "-o", "n.safetensors", "--steps", "0"], "1 to 1000000"),
    ],
)
def test_wrong_usage_is_refused_before_any_work(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(["tune", *arguments]) == 2
    assert said in capsys.readouterr().err
