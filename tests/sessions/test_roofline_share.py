"""The share of the roofline of runs whose decode steps are known."""

from __future__ import annotations

import json

import pytest

from forethought.cli.stored_probe import checked_price, with_roofline, with_usd
from forethought.contracts.errors import BadParameterError
from forethought.cost.hardware import TABLE
from forethought.reports.terminal.panel import panel
from forethought.sessions.roofline_share import roofline_share
from tests.reports.documents import document

CARD = TABLE["i9-13900k"]


def decoded(per_token: float, **changes):
    run = document()
    run |= {"recipe": "qwen-coder-1.5b", "candidates": (), "settings": {}}
    run["timing"] = {**run["timing"], "per_token": per_token}
    run["cost"] = {**run["cost"], "output_tokens": 9}
    run["kept"] = {**run["kept"], "prompt_tokens": 1000, "of": 1000, "shares": ()}
    return run | changes


def test_the_share_is_the_bytes_of_a_step_over_its_time() -> None:
    layers, head, entry = 1_310_195_712, 233_373_696, 2 * 28 * 256 * 2
    activations = 10e6  # less than a hundredth of the weights
    moved = layers * 5 / 8 + head + 1004.5 * entry

    found = roofline_share(decoded(0.1), CARD)

    assert found is not None
    assert found["bound"] == "memory"
    assert found["share"] == pytest.approx(moved / 89.6e9 / 0.1, rel=activations / moved)


def test_twice_the_time_is_half_the_share_and_fewer_entries_are_less_work() -> None:
    slow, fast = (roofline_share(decoded(s), CARD)["share"] for s in (0.2, 0.1))
    kept = {**decoded(0.1)["kept"], "shares": (1.0,) * 10}

    assert fast == pytest.approx(2 * slow)
    assert roofline_share(decoded(0.1, kept=kept), CARD)["share"] < fast


@pytest.mark.parametrize(
    "changes",
    [{"recipe": "qwen-coder-1.5b@best-of-n@likelihood"}, {"candidates": ({"text": "x"},)},
     {"recipe": "owner/unknown"}],
)  # fmt: skip
def test_searches_samples_and_unknown_models_have_no_share(changes) -> None:
    assert roofline_share(decoded(0.1, **changes), CARD) is None


def test_a_run_without_decode_steps_has_no_share() -> None:
    assert roofline_share(decoded(0.0), CARD) is None


def test_the_panel_shows_it_once_this_machine_was_probed(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path))
    run = decoded(0.1)
    assert with_roofline(run) is run
    (tmp_path / "hardware.json").write_text(json.dumps(CARD.document()))

    shown = panel(with_roofline(run), width=100, colour=False)

    assert "bound by memory, " in shown
    assert "% of its roofline" in shown
    assert with_roofline({**run, "recipe": "http://host/v1#m"}).get("roofline") is None


def test_a_damaged_probe_loses_no_answer(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FORETHOUGHT_CACHE", str(tmp_path))
    (tmp_path / "hardware.json").write_text("{")
    run = decoded(0.1)

    assert with_roofline(run) is run


def test_seconds_are_paid_where_a_price_is_set_and_no_other_is() -> None:
    run = document()

    assert with_usd(run, 3.6)["cost"]["usd"] == pytest.approx(run["cost"]["seconds"] / 1000)
    assert with_usd(run, None) is run
    paid = {**run, "cost": {**run["cost"], "usd": 0.5}}
    assert with_usd(paid, 3.6)["cost"]["usd"] == 0.5
    with pytest.raises(BadParameterError, match="is no price"):
        checked_price(-1.0)
