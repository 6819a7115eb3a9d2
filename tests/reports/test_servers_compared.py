"""Comparisons in which models on servers stand: what is told of them is shown, and nothing else."""

import math
from dataclasses import replace

import pytest

from forethought.evaluation.recipe_result import with_frontiers
from forethought.reports import figures, units
from forethought.reports.comparison import comparison_text
from forethought.reports.html.comparison import comparison_html
from tests.reports.comparisons import SEARCHES, SMALL

UNKNOWN = {"flops": math.nan, "cache_bytes": math.nan, "first_token": math.nan}


def afar(comparison, **costs):
    """The comparison as if all its models were on servers."""
    standings = [
        replace(one, **{**UNKNOWN, "tokens": 50.0, **costs}) for one in comparison.standings
    ]
    return replace(comparison, standings=tuple(standings), notes=("Lengths are counted.",))


def test_servers_are_weighed_by_tokens_and_their_price():
    priced = afar(SMALL, usd=0.0004)

    assert [one.name for one in figures.axes(afar(SMALL), True)] == ["tokens"]
    assert [one.name for one in figures.axes(priced, True)] == ["tokens", "usd"]
    assert [one.name for one in figures.axes(afar(SEARCHES, usd=1.0), True)] == ["tokens", "usd"]
    shown = comparison_text(priced, width=100, colour=False)
    assert "$0.0004" in shown
    assert "FLOP" not in shown
    assert "Lengths are counted." in shown
    assert "$0.0004" in comparison_html(priced, title="t")


def test_beside_a_server_a_model_here_keeps_its_own_costs():
    _, *others = afar(SMALL).standings
    here = replace(SMALL.standings[0], tokens=50.0)
    mixed = replace(afar(SMALL), standings=(here, *others))

    assert [one.name for one in figures.axes(mixed, False)] == ["tokens", "cache_bytes", "flops"]
    assert figures.MISSING in comparison_text(mixed, width=120, colour=False)


def test_in_a_narrow_table_a_cost_that_the_first_lacks_is_told_as_it_is():
    first, *others = afar(SMALL, usd=0.0004).standings
    mixed = replace(SMALL, standings=(replace(first, usd=math.nan), *others))
    tables, _, _ = comparison_text(mixed, width=40, colour=False).partition("× of")

    assert "$0.0004" in tables


def test_what_is_not_known_stands_on_no_frontier():
    cheap, dear = with_frontiers([replace(SMALL.standings[0], flops=f) for f in (math.nan, 9.0)])

    assert "flops" not in cheap.frontier
    assert "flops" in dear.frontier


def test_a_model_that_a_server_changed_is_told_of():
    told = figures.caveats(replace(afar(SMALL), mixed=("served",)))

    assert any("changed its model" in line for line in told)
    assert not any("more than one version" in line for line in told)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "$0"), (0.000067, "$0.000067"), (0.0412, "$0.041"), (1234.5, "$1,234.50")],
)
def test_money_is_written_with_two_digits_that_count(value, shown):
    assert units.dollars(value) == shown
