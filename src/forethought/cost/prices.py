"""Token prices of models on servers, and the `--price` option that states them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forethought.contracts.errors import BadParameterError
from forethought.contracts.records import Cost

_HINT = "write it as dollars for a million tokens read, written and cached: 0.15/0.6/0.075"


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    prompt: float
    output: float
    cached: float | None = None
    """Price of prompt tokens in the server's prefix cache; None charges them as `prompt`."""

    def __str__(self) -> str:
        cached = "" if self.cached is None else f"/{self.cached:g}"
        return f"${self.prompt:g}/{self.output:g}{cached} a million tokens"

    def usd(self, prompt: int, cached: int, output: int) -> float:
        """US dollars for these token counts; `prompt` excludes the cached tokens."""
        cached_price = self.prompt if self.cached is None else self.cached
        return (prompt * self.prompt + cached * cached_price + output * self.output) / 1e6


def price_of(prices: Mapping[str, Price], model: str) -> Price | None:
    """The price of a model, or the default price under ""; None if neither is known."""
    return prices.get(model, prices.get(""))


def cost_of(price: Price | None, prompt: int, cached: int, output: int) -> Cost:
    """The cost of these token counts, in dollars too if the price is known."""
    usd = None if price is None else price.usd(prompt, cached, output)
    return Cost(prompt_tokens=prompt, cached_tokens=cached, output_tokens=output, usd=usd)


def prices_of(texts: Iterable[str]) -> dict[str, Price]:
    """Parse values of `--price`, `MODEL=READ/WRITTEN` or `MODEL=READ/WRITTEN/CACHED`, by model.

    A value without a model is the default price, under the name "".
    """
    found: dict[str, Price] = {}
    for text in texts:
        model, _, amounts = text.rpartition("=")
        if model.strip() in found:
            raise BadParameterError(f"--price {text!r}: that price is stated twice", "keep one")
        found[model.strip()] = _price(text, amounts)
    return found


def _price(text: str, amounts: str) -> Price:
    try:
        prompt, output, *cached = [float(part) for part in amounts.split("/")]
        if len(cached) <= 1 and all(0 <= each < 1e9 for each in (prompt, output, *cached)):
            return Price(prompt, output, *cached)
    except ValueError:
        pass
    raise BadParameterError(f"--price {text!r} is no price", _HINT)
