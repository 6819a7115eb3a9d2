import pytest

from forethought.contracts.errors import BadParameterError
from forethought.cost.budget import Limit, spend_limit


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", Limit()),
        ("500tok", Limit(tokens=500)),
        ("500 tokens", Limit(tokens=500)),
        ("2s", Limit(seconds=2.0)),
        ("250ms", Limit(seconds=0.25)),
        ("1.5min", Limit(seconds=90.0)),
        ("1TFLOP", Limit(flops=1e12)),
        ("2.5e9 flops", Limit(flops=2.5e9)),
        (".5GFLOP", Limit(flops=5e8)),
        ("$0.01", Limit(usd=0.01)),
        ("0.01usd", Limit(usd=0.01)),
        ("500tok, 2s,1TFLOP,$0.01", Limit(500, 2.0, 1e12, 0.01)),
    ],
)
def test_a_budget_is_read_in_its_units(text: str, limit: Limit) -> None:
    assert spend_limit(text) == limit


@pytest.mark.parametrize(
    "text",
    [
        "500",
        "tok",
        "-1s",
        "0s",
        "0tok",
        "1.5tok",
        "1e999s",
        "$1usd",
        "$",
        "1s,2s",
        "1s,",
        "5 apples",
    ],
)
def test_what_is_no_budget_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        spend_limit(text)

    assert caught.value.hint


def test_a_limit_tells_what_it_limits():
    assert spend_limit("").kinds == frozenset()
    assert spend_limit("5tok,$1").kinds == {"tokens", "usd"}
    assert spend_limit("5tok,$1,2s,1FLOP").kinds == {"tokens", "usd", "seconds", "flops"}


def test_a_comma_too_many_is_named() -> None:
    with pytest.raises(BadParameterError, match=r"the budget '5tok,' has a comma too many"):
        spend_limit("5tok,")
