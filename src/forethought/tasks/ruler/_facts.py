"""A generated world of people and companies: paragraphs of facts, with questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from forethought.tasks.ruler import _vocabulary as vocabulary
from forethought.tasks.ruler._haystack import articled


@dataclass(frozen=True)
class Person:
    """A person and their facts."""

    name: str
    trade: str
    town: str
    born: int
    instrument: str
    company: str

    def paragraph(self) -> str:
        """The paragraph of its facts."""
        return articled(
            f"{self.name} was born in {self.town} in {self.born}. {self.name} is a {self.trade} "
            f"by trade, plays the {self.instrument}, and works for {self.company}."
        )

    def asked(self) -> dict[str, str]:
        """Questions that this paragraph answers, with their answers."""
        return {
            f"In which town was {self.name} born?": self.town,
            f"In which year was {self.name} born?": str(self.born),
            f"What is the trade of {self.name}?": self.trade,
            f"Which instrument does {self.name} play?": self.instrument,
            f"For which company does {self.name} work?": self.company,
        }


@dataclass(frozen=True)
class Company:
    """A company and its facts."""

    name: str
    product: str
    town: str
    founded: int
    founder: str

    def paragraph(self) -> str:
        """The paragraph of its facts."""
        return (
            f"{self.name} was founded in {self.founded} by {self.founder}. "
            f"The company makes {self.product} and has its seat in the town of {self.town}."
        )

    def asked(self, called: str = "") -> dict[str, str]:
        """Questions that this paragraph answers; `called` replaces the company's name."""
        called = called or self.name
        return {
            f"In which year was {called} founded?": str(self.founded),
            f"Who founded {called}?": self.founder,
            f"What does {called} make?": self.product,
            f"In which town does {called} have its seat?": self.town,
        }


@dataclass(frozen=True)
class Pair:
    """A person and the company that employs only them."""

    person: Person
    company: Company


def pairs(random: Random) -> Iterator[Pair]:
    """Pairs without end; names of people, founders, companies and towns are unique."""
    names, companies = _distinct(_full_name, random), _distinct(_company_name, random)
    towns = _distinct(_town, random)
    while True:
        company = Company(
            name=next(companies),
            product=random.choice(vocabulary.PRODUCTS),
            town=next(towns),
            founded=random.randint(1750, 1950),
            founder=next(names),
        )
        person = Person(
            name=next(names),
            trade=random.choice(vocabulary.TRADES),
            town=next(towns),
            born=random.randint(1951, 1999),
            instrument=random.choice(vocabulary.INSTRUMENTS),
            company=company.name,
        )
        yield Pair(person, company)


def _distinct(draw: Callable[[Random], str], random: Random) -> Iterator[str]:
    seen: set[str] = set()
    while True:
        if (drawn := draw(random)) not in seen:
            seen.add(drawn)
            yield drawn


def _full_name(random: Random) -> str:
    surname = random.choice(vocabulary.NAME_STARTS) + random.choice(vocabulary.SURNAME_ENDS)
    return f"{random.choice(vocabulary.FIRST_NAMES)} {surname}"


def _company_name(random: Random) -> str:
    words = random.choice(vocabulary.ADJECTIVES), random.choice(vocabulary.NOUNS)
    return f"{words[0].title()} {words[1].title()} {random.choice(vocabulary.WORKS)}"


def _town(random: Random) -> str:
    """A name of three parts, enough for any length of text."""
    first, middle = random.sample(vocabulary.NAME_STARTS, 2)
    return first + middle.lower() + random.choice(vocabulary.TOWN_ENDS)
