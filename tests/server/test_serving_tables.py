"""Tables of the serving benchmark, from figures whose ratios and slopes are known."""

from __future__ import annotations

import csv

import pytest
from benchmarks.serving_tables import memory_rows, ratios, row, slope, write_readings

MIB = 1 << 20


def found(server="ours", number=1, rate=100.0, alone=40.0, watched=()):
    """Figures of one measurement; latencies follow from the rate."""
    spread = {"median": 1 / rate, "p99": 2 / rate, "max": 3 / rate}
    return {
        "round": number,
        "server": server,
        "load": {"seconds": 600.0},
        "alone": {"tokens_per_second": alone},
        "errors": {"HTTP 500": 2},
        "tokens_per_second": rate,
        "first_token": spread,
        "inter_token": spread,
        "inter_token_beside_long_prompts": {},
        "long_first_token": {},
        "client_cores": 0.1,
        "watched": list(watched),
    }


def leaking(metric):
    """Memory that grows with a cache until half of the time, and by 3 MiB a minute beside it."""
    for at in range(601):
        cache = min(at, 300) * MIB
        yield {"at": float(at), "resident_bytes": 1000 * MIB + cache + at * MIB / 20, metric: cache}


def test_a_row_has_milliseconds_and_the_rate_against_one_client():
    cells = row(found(watched=leaking("cache_bytes")))

    assert cells["errors"] == 2
    assert cells["× alone"] == 2.5
    assert (cells["first ms"], cells["inter p99"]) == (10, 20)
    assert cells["beside long p99"] == cells["long first s"] == ""
    assert cells["MiB/min"] == pytest.approx(3)
    assert row(found(alone=0))["× alone"] == row(found())["MiB/min"] == ""


def test_ratios_are_taken_within_a_round_before_their_median():
    rates = {"ours": [100, 200, 400], "theirs": [50, 400, 200], "slow": [10, 10, 10]}
    rows = [
        row(found(server, number + 1, float(rates[server][number])))
        for number in range(3)
        for server in rates
    ]

    theirs, slow = ratios(rows)

    assert theirs["server"] == "theirs / ours"
    assert theirs["tokens/s"] == "0.5 (0.5 to 2)"
    assert theirs["inter p99"] == "2 (0.5 to 2)"
    assert slow["tokens/s"] == "0.05 (0.025 to 0.1)"


def test_ratios_need_both_servers_of_a_round():
    rows = [row(found("ours")), row(found("theirs", alone=0)), row(found("ours", 2))]

    (theirs,) = ratios(rows)

    assert theirs["tokens/s"] == "1"
    assert theirs["× alone"] == ""
    assert ratios(rows[:1]) == []


def test_memory_over_time_is_shown_beside_the_servers_own_caches():
    resident, cache, rest = memory_rows(found(watched=leaking("cache_bytes")))

    assert resident["quantity"] == "resident MiB"
    assert [resident[at] for at in ("1/4", "1/2", "3/4", "end")] == [1157.5, 1315, 1322.5, 1330]
    assert (cache["quantity"], cache["1/4"], cache["end"]) == ("cache MiB", 150, 300)
    assert cache["per minute, last half"] == pytest.approx(0, abs=1e-9)
    assert rest["quantity"] == "resident MiB - cache MiB"
    assert [rest["1/4"], rest["end"]] == [1007.5, 1030]
    assert rest["per minute, last half"] == pytest.approx(3)


def test_a_reading_that_lacks_a_value_is_left_out():
    values = [{"at": 0.0}, {"at": 300.0, "running": 64.0}, {"at": 600.0, "resident_bytes": MIB}]

    running, resident = memory_rows(found(watched=values))

    assert (running["quantity"], running["end"]) == ("running", 64)
    assert (resident["1/4"], resident["per minute, last half"]) == (1, "")
    assert memory_rows(found()) == []


def test_every_reading_is_a_line_of_csv(tmp_path):
    file = tmp_path / "all.csv"
    documents = [
        found("ours", 1, watched=leaking("a_bytes")),
        found("other", 1, watched=[{"at": 1.0}]),
    ]

    write_readings(file, documents)

    lines = list(csv.DictReader(file.read_text().splitlines()))
    assert len(lines) == 602
    assert lines[60]["a_bytes"] == str(60 * MIB)
    assert (lines[-1]["server"], lines[-1]["at"], lines[-1]["a_bytes"]) == ("other", "1.0", "")


def test_the_slope_is_that_of_the_last_half():
    values = [(float(at), 0.0 if at < 5 else float(at)) for at in range(10)]

    assert slope(values, 60) == pytest.approx(60)
    assert slope(values[:2], 60) == ""
