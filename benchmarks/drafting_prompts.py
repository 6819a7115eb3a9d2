"""The prompts of benchmarks/drafting.py: answers that copy their document, and prose."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

LIGHTHOUSE = (Path(__file__).parents[1] / "examples" / "lighthouse.txt").read_text("utf-8")[:2000]
CODE = '''
import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Order:
    """An order of one customer."""

    customer: str
    article: str
    count: int
    price: float

    @property
    def total(self) -> float:
        """The price of all articles."""
        return self.count * self.price


def read_orders(path: Path) -> list[Order]:
    """The orders of a file, one a line."""
    with path.open(encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [
            Order(row["customer"], row["article"], int(row["count"]), float(row["price"]))
            for row in rows
        ]


def total_by_customer(orders: list[Order]) -> dict[str, float]:
    """The sum of the orders of each customer."""
    found: dict[str, float] = {}
    for order in orders:
        found[order.customer] = found.get(order.customer, 0.0) + order.total
    return found
'''
JSON = (
    '[{"id":17,"name":"Anna Berg","town":"Lund","roles":["editor","author"],"active":true},'
    '{"id":23,"name":"Jonas Dahl","town":"Umea","roles":["reader"],"active":false},'
    '{"id":31,"name":"Mira Holm","town":"Visby","roles":["author"],"active":true},'
    '{"id":44,"name":"Otto Lind","town":"Kalmar","roles":["editor","reader"],"active":true},'
    '{"id":58,"name":"Sara Nyman","town":"Falun","roles":["reader"],"active":false}]'
)


class Prompt(NamedTuple):
    """A question, and the document before it."""

    name: str
    kind: str
    """copies or prose"""
    question: str
    document: str = ""


PROMPTS = (
    Prompt("quote", "copies", "Repeat the document word for word.", LIGHTHOUSE),
    Prompt(
        "code edit",
        "copies",
        "Rename the class Order to Purchase everywhere, and print the whole file.",
        CODE,
    ),
    Prompt(
        "JSON",
        "copies",
        "Print this JSON again, indented by two spaces, with every field and value unchanged.",
        JSON,
    ),
    Prompt("story", "prose", "Write a short story about a clockmaker who cannot sleep."),
    Prompt("explanation", "prose", "Explain to a child why leaves change their colour in autumn."),
)
