"""What fits into memory, and prices by the hour."""

from __future__ import annotations

import pytest

from forethought.contracts.errors import BadDataError
from forethought.cost.capacity import USABLE, cache_bytes, capacity, weight_bytes
from forethought.cost.hardware import TABLE
from forethought.cost.hourly_prices import HOURLY, hourly_price, read_hourly
from forethought.cost.precision import WEIGHTS, Precision
from forethought.cost.roofline import Machine
from tests.cost.fixtures import config


def test_a_token_of_llama_2_takes_half_a_mebibyte() -> None:
    assert cache_bytes(config("llama-2-7b"), Precision(), 1) == 2 * 32 * 32 * 128 * 2


def test_layers_with_a_window_hold_no_more_than_the_window() -> None:
    gemma = config("gemma3-1b")  # 22 layers with a window of 512, 4 without

    assert cache_bytes(gemma, Precision(), 10_000) == 2 * 256 * 2 * (22 * 512 + 4 * 10_000)


def test_the_longest_context_fits_and_one_token_more_does_not() -> None:
    llama = config("llama-3.1-8b")  # holds more than fits
    machine = Machine(TABLE["l4"], Precision())

    found = capacity(llama, machine, cache_bytes(llama, Precision(), 8192))

    room = USABLE * 24e9 - weight_bytes(llama, Precision())
    assert cache_bytes(llama, Precision(), found.context) <= room
    assert cache_bytes(llama, Precision(), found.context + 1) > room
    assert found.requests == int(room // (8192 * 32 * 2 * 1024 * 2))


def test_weights_are_counted_in_their_format_and_a_tied_head_once() -> None:
    qwen, llama = config("qwen2.5-1.5b"), config("llama-3-8b")

    assert weight_bytes(qwen, Precision()) == (1_310_195_712 + 233_373_696) * 2
    assert weight_bytes(llama, Precision()) == (6_979_321_856 + 2 * 525_336_576) * 2
    four = 6_979_321_856 * 5 / 8 + 2 * 525_336_576 * 2
    assert weight_bytes(llama, WEIGHTS["int4"]) == four


def test_nothing_fits_beside_weights_that_are_too_large() -> None:
    found = capacity(config("llama-3.1-405b"), Machine(TABLE["l4"], Precision()), 100)

    assert (found.context, found.requests) == (0, 0)


def test_prices_of_a_file_come_before_the_table(tmp_path) -> None:
    file = tmp_path / "own.json"
    file.write_text('{"date": "2027-01-01", "usd_per_hour": {"H100": 2.5}}')

    own = read_hourly(file)

    assert str(hourly_price("h100", own)) == "$2.5 an hour (own.json, 2027-01-01)"
    assert hourly_price("h200", own) == HOURLY["h200"]
    assert hourly_price("l4", own) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"usd_per_hour": {"a": -1}}',
        '{"usd_per_hour": 3}',
        '{"usd_per_hour": {"a": true}}',
        f'{{"usd_per_hour": {{"a": {10**400}}}}}',
        "[" * 100_000,
    ],
)
def test_what_holds_no_prices_is_refused(tmp_path, text) -> None:
    file = tmp_path / "own.json"
    file.write_text(text)

    with pytest.raises(BadDataError, match="holds no prices"):
        read_hourly(file)
