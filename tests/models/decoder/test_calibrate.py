import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor

from forethought.models.decoder import calibrate
from forethought.models.decoder.calibrate import NAME, decode_format
from forethought.models.decoder.linear import Linear

LAYERS = [["layers.0.qkv", "layers.0.down"], ["layers.1.qkv", "layers.1.down"]]


@pytest.fixture(autouse=True)
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without neighbours, whatever else runs on the one that tests."""
    monkeypatch.setattr(calibrate, "is_crowded", lambda wall, processor: False)


@dataclass(frozen=True)
class Waiting:
    """A product that takes a set time."""

    seconds: float
    inputs: int = 8

    def bytes(self, phase: str) -> int:
        return 0

    def __call__(self, x: Tensor, phase: str) -> Tensor:
        time.sleep(self.seconds)
        return x


def slow(which: str, built: list[str]) -> Callable[[str], Callable[[str], Linear]]:
    def build(name: str) -> Callable[[str], Linear]:
        built.append(name)
        return lambda product: Waiting(0.02 if name == which else 0.0)

    return build


def test_the_faster_format_wins(tmp_path: Path) -> None:
    assert decode_format(tmp_path, slow("bf16", []), ("int4", "bf16"), LAYERS).format == "int4"


def test_formats_that_share_their_layers_differ_by_the_head_alone(tmp_path: Path) -> None:
    def build(name: str) -> Callable[[str], Linear]:
        return lambda product: Waiting(0.01 if name == "int4+planes" and product == "head" else 0.0)

    assert (
        decode_format(tmp_path, build, ("int4+planes", "int4+rows"), LAYERS).format == "int4+rows"
    )


def test_a_choice_is_kept_so_that_the_same_recipe_runs_alike(tmp_path: Path) -> None:
    built: list[str] = []
    decode_format(tmp_path, slow("int4", built), ("int4", "bf16"), LAYERS)
    built.clear()

    again = decode_format(tmp_path, slow("bf16", built), ("int4", "bf16"), LAYERS)

    assert again.format == "bf16"
    assert again.seconds["int4"] > again.seconds["bf16"]
    assert built == []


def test_the_number_of_sequences_decides_and_is_kept_apart(tmp_path: Path) -> None:
    """One format is slow for one token, the other for each of many."""

    @dataclass(frozen=True)
    class PerRow(Waiting):
        def __call__(self, x: Tensor, phase: str) -> Tensor:
            time.sleep(self.seconds * (len(x) - 1) if self.seconds < 0.005 else self.seconds)
            return x

    def build(name: str) -> Callable[[str], Linear]:
        return lambda product: PerRow(0.002 if name == "int4" else 0.006)

    formats = ("int4", "bf16")

    assert decode_format(tmp_path, build, formats, LAYERS, rows=1).format == "int4"
    assert decode_format(tmp_path, build, formats, LAYERS, rows=7).format == "bf16"
    keys = [*json.loads((tmp_path / NAME).read_text())]
    assert [key.endswith(", 8 rows") for key in keys] == [False, True]


def test_times_of_other_products_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_format(tmp_path, slow("int4", []), ("int4", "bf16"), LAYERS)
    monkeypatch.setattr(calibrate, "_PRODUCTS", calibrate._PRODUCTS + 1)

    found = decode_format(tmp_path, slow("bf16", []), ("int4", "bf16"), LAYERS)

    assert found.format == "int4"


def test_what_was_measured_beside_other_processes_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "is_crowded", lambda wall, processor: True)

    assert decode_format(tmp_path, slow("bf16", []), ("int4", "bf16"), LAYERS).format == "int4"
    assert not (tmp_path / NAME).exists()


def test_what_another_machine_chose_or_no_format_has_is_measured_anew(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"another machine": "bf16"}))

    assert decode_format(tmp_path, slow("bf16", []), ("int4", "bf16"), LAYERS).format == "int4"
    assert json.loads((tmp_path / NAME).read_text())["another machine"] == "bf16"


def test_a_damaged_record_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{")

    assert decode_format(tmp_path, slow("bf16", []), ("int4", "bf16"), LAYERS).format == "int4"
