"""The `--price` option, and what token counts cost under a price."""

import pytest

from forethought.contracts.errors import BadParameterError
from forethought.contracts.records import Cost
from forethought.cost.prices import Price, cost_of, price_of, prices_of


@pytest.mark.parametrize(
    ("texts", "prices"),
    [
        (["1/10"], {"": Price(1.0, 10.0)}),
        (["a=b=0.15/0.6/0.075", "2/3"], {"a=b": Price(0.15, 0.6, 0.075), "": Price(2.0, 3.0)}),
        ([], {}),
    ],
)
def test_prices_are_read(texts, prices):
    assert prices_of(texts) == prices


@pytest.mark.parametrize("text", ["1", "1/2/3/4", "a/b", "-1/2", "nan/1", "inf/1", "", "m="])
def test_what_is_no_price_is_refused(text):
    with pytest.raises(BadParameterError, match="is no price"):
        prices_of([text])


def test_a_price_is_stated_once():
    with pytest.raises(BadParameterError, match="stated twice"):
        prices_of(["m=1/2", " m = 1/3"])


def test_a_model_has_its_own_price_or_that_of_all_others():
    prices = prices_of(["m=1/2", "3/4"])

    assert price_of(prices, "m") == Price(1.0, 2.0)
    assert price_of(prices, "n") == Price(3.0, 4.0)
    assert price_of(prices_of(["m=1/2"]), "n") is None


def test_cached_tokens_cost_their_own_price_or_that_of_the_prompt():
    assert Price(1.0, 2.0, 0.5).usd(prompt=10, cached=4, output=1) == pytest.approx(14e-6)
    assert Price(1.0, 2.0).usd(prompt=10, cached=4, output=1) == pytest.approx(16e-6)


def test_the_cost_of_tokens_without_a_price_has_no_dollars():
    assert cost_of(None, 10, 4, 1) == Cost(prompt_tokens=10, cached_tokens=4, output_tokens=1)
    assert cost_of(Price(0.0, 2.0), 10, 4, 1).usd == pytest.approx(2e-6)
